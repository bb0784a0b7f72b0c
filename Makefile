# Passes a target's name on to tasks.py, which says what each does: make help. Arguments: make unit ARGS="-k depth"
PYTHON ?= $(or $(shell command -v python3 2>/dev/null),python)
TASKS := setup demo test format lint imports gen-check types docs unit proof system gen proof-all bench wheel lock clean

.PHONY: help $(TASKS)

help:
	@$(PYTHON) tasks.py

$(TASKS):
	@$(PYTHON) tasks.py $@ $(ARGS)

.DEFAULT:
	@$(PYTHON) tasks.py $@
