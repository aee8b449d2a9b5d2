"""Options that take several files: ``--readings a.csv b.csv`` as well as ``--readings a.csv --readings b.csv``."""

import click

FILES = ("--readings",)


class FilesCommand(click.Command):
    """A command whose options in ``FILES`` take all words up to the next option, so that the shell's ``*.csv`` works."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Names the option again before each further file."""
        return super().parse_args(ctx, spread(args))


def spread(arguments: list[str]) -> list[str]:
    """The arguments with the option's name before each of its files."""
    words: list[str] = []
    option = None
    for argument in arguments:
        name, _, value = argument.partition("=")
        if name in FILES:
            option = name
            words += [name, value] if value else []
        elif argument.startswith("-") and argument != "-":  # which is standard input
            option = None
            words.append(argument)
        else:
            words += [argument] if option is None else [option, argument]
    return [*words, arguments[-1]] if arguments and arguments[-1] in FILES else words
