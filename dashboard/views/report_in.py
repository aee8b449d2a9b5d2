"""登记投诉: somebody is on the phone. Find the home, see what is known of it, write down what is said."""

from dashboard.desk.report_in import report_in

report_in()
