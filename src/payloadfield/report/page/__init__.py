"""The report: one HTML file that compares designs, or shows runs, with everything that it rests on."""
