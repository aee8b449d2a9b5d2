"""The report as files: its tables in words, a workbook, a PDF, JSON."""
