"""Assembly: the API application, the pages and the `encore` command."""
