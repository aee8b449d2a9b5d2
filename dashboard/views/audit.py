"""操作记录: who did what, when, with what was there before and after."""

from functools import partial
from typing import Final

import streamlit as st

from dashboard.audit_words import act_name, act_subject, acts_named, said
from dashboard.facts.accounts import AUDIT_PAGE, AuditWanted, audit_found, audit_rows, audited_people
from dashboard.panel import panel
from dashboard.screen import go, live, page_of, screen

EVERY_S: Final = 10.0


def acts() -> None:
    now = screen()
    _ = now.say
    everybody = ["", *audited_people(now.town)]
    panel(now.html("title.html", title=_("Audit"), beside=_("Every act and every refusal, the newest first.")), key="audit_title")
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small", key="audit_filter"):
        who = st.selectbox(_("Who"), everybody, format_func=lambda one: one or _("everybody"), key="audit_who", width=220)
        text = st.text_input(_("What, or of what"), placeholder=_("e.g. complaint/12"), key="audit_text", width=260)
        refused_only = st.checkbox(_("Only what was refused"), key="audit_refused")
    wanted = AuditWanted(who or "", text.strip(), tuple(acts_named(_, text.strip())), refused_only)
    page = page_of(audit_found(now.town, wanted), AUDIT_PAGE, key="audit_page")
    words = {
        "act_name": act_name,
        "act_subject": partial(act_subject, now.town, _),
        "said": partial(said, _, now.moments),
    }
    go(panel(now.html("audit.html", rows=audit_rows(now.town, wanted, page), **words), key="audit").open)


live(acts, every_s=EVERY_S)
