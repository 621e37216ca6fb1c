//! Somebody who can write to Redis, and has no key of the fleet.
