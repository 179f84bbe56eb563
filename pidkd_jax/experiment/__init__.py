"""Whole jobs: a configuration, a teacher, a cohort of students, their bundles and a report."""
