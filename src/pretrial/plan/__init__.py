"""From a study to steps: courses, shared prefixes, cost, controls, registration. Never imports torch."""
