"""测温记录: a measuring visit filed with the resident's signature, the register of instruments, and the records so far."""

from dashboard.desk.visit_form import visits

visits()
