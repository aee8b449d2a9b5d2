"""How a notice ends, and what users are then told: heat is back, or the notice was wrong, or what it announced will not be (R5)."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Closing:
    """The words of one way to end, in Chinese and English; ``{time}`` is when."""

    word_zh: str
    word_en: str
    text_zh: str
    text_en: str


CLOSINGS: Final = {
    "restored": Closing("恢复供热", "Heat is back", "上述停热已于{time}结束。", "The outage above ended at {time}."),
    "season_ended": Closing("供暖季结束", "End of the season", "供暖季已于{time}结束。", "The heating season ended at {time}."),
    "correction": Closing(
        "更正：撤回", "Correction: withdrawn", "经核实数据，上述停热并未发生，本通告撤回。",
        "Later data shows that the outage above did not happen; this notice is withdrawn.",
    ),
    "planned_over": Closing("计划停热结束", "Planned stop over", "上述计划停热已于{time}结束。", "The planned stop above ended at {time}."),
    "called_off": Closing("计划取消", "Called off", "上述计划停热已取消。", "The planned stop above is called off."),
}  # fmt: skip
