"""Report: tables, figures, the page and the terminal's summary, from plain data.

`pretrial.report.data.ReportData` is all that goes in; `pretrial.report.write.write_report` makes the
folder. This module imports nothing, so that `pretrial.report.spec` stays light.
"""
