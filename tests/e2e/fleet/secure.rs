//! A cluster, and a Redis over TLS with a user that may do what the documents say and nothing else.
