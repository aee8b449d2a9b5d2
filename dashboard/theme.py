"""Streamlit's settings, in code: how its own widgets and charts look beside ``assets/keepwarm.css``, and what is switched off."""

from typing import Any, Final

FONT: Final = '"Source Sans", "PingFang SC", "Microsoft YaHei", "Noto Sans CJK SC", "Source Han Sans SC", sans-serif'

_LIGHT: Final = {
    "primaryColor": "#0b6b78",
    "backgroundColor": "#f3f5f7",
    "secondaryBackgroundColor": "#ffffff",
    "textColor": "#17212c",
    "borderColor": "#d5dbe2",
    "linkColor": "#0b6b78",
    "redColor": "#c93426",
    "orangeColor": "#b86200",
    "greenColor": "#19795a",
    "blueColor": "#1f6fb2",
    "violetColor": "#6f5bb0",
    "grayColor": "#5b6876",
    "chartCategoricalColors": ["#1f6fb2", "#b86200", "#0b8a8f", "#6f5bb0", "#c2452d", "#6b7785"],
}
_DARK: Final = {
    "primaryColor": "#3fb3bf",
    "backgroundColor": "#0e141b",
    "secondaryBackgroundColor": "#18212b",
    "textColor": "#e4eaf0",
    "borderColor": "#2b3743",
    "linkColor": "#5cc4cf",
    "redColor": "#ff7a66",
    "orangeColor": "#f0a640",
    "greenColor": "#4cc197",
    "blueColor": "#66b1ea",
    "violetColor": "#b3a3ee",
    "grayColor": "#98a5b3",
    "chartCategoricalColors": ["#66b1ea", "#f0a640", "#45c4c4", "#b3a3ee", "#ff8468", "#98a5b3"],
}


def streamlit_options() -> dict[str, Any]:
    """The options of Streamlit that this program runs with, whatever the surroundings say."""
    options: dict[str, Any] = {
        "browser.gatherUsageStats": False,
        "client.showErrorDetails": "none",
        "client.showErrorLinks": False,
        "client.toolbarMode": "minimal",
        "logger.hideWelcomeMessage": True,
        "logger.level": "warning",
        "runner.postScriptGC": False,  # a full collection after every refresh of every viewer costs more than the refresh
        "runner.magicEnabled": False,
        "server.enableAgentApi": False,
        "server.fileWatcherType": "none",
        "server.headless": True,
        "server.maxUploadSize": 1,
        "server.maxWidgetStateSize": 1,
        "server.runOnSave": False,
        "server.showEmailPrompt": False,
        "theme.font": FONT,
        "theme.headingFont": FONT,
        "theme.baseFontSize": 15,
        "theme.baseRadius": "6px",
        "theme.showWidgetBorder": True,
        "ui.hideTopBar": True,
    }
    options |= {f"theme.light.{name}": value for name, value in _LIGHT.items()}
    options |= {f"theme.dark.{name}": value for name, value in _DARK.items()}
    return options
