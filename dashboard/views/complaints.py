"""投诉: the queue by the time left; with ``?complaint=`` one of them whole."""

import streamlit as st

from dashboard.desk.one import one_complaint
from dashboard.desk.queue import queue

if st.query_params.get("complaint"):
    one_complaint()
else:
    queue()
