# make quickstart   set up, run studies/quickstart.yaml, print the comparison and the report's path
# make test         set up, check style and types, run the fast tests
.PHONY: quickstart test check format docs clean

quickstart:
	@tools/setup.sh
	@.venv/bin/pretrial run studies/quickstart.yaml

test:
	@tools/setup.sh dev
	@$(MAKE) --no-print-directory check
	.venv/bin/python -m pytest -m "not slow"

check:
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy

format:
	.venv/bin/ruff check --fix .
	.venv/bin/ruff format .

docs:
	.venv/bin/python -m pretrial.study.reference

clean:
	rm -rf .venv build dist src/*.egg-info .pytest_cache .mypy_cache .ruff_cache
