//! Redis dies, comes back empty, is cut off, is emptied; replicas die and start without it. Nothing that was revoked passes.
