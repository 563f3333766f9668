"""The verbs, one module each; a module here is found by itself and brings `app` and `ORDER` (in the help)."""
