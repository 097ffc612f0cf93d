"""Hooks that record the runs of frameworks, and of plain functions, as LTMs.

| module | what it records |
| --- | --- |
| `ltm_live.hooks.functions` | plain functions, by decorators |
| `ltm_live.hooks.pydantic_ai` | the runs of a Pydantic AI agent |
| `ltm_live.hooks.openai_agents` | the runs of the OpenAI Agents SDK |
| `ltm_live.hooks.google_adk` | the sessions of Google's Agent Development Kit |
| `ltm_live.hooks.celery` | the tasks of a Celery app |

Each module imports its framework; the package itself imports none of them. A step that cannot be written is logged
(logger `ltm_live`), and the next step brings the LTM up to date. With `strict=True` the step fails.
"""
