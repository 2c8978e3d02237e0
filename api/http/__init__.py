"""HTTP: parsing of requests, encoding of answers, problems, limits."""
