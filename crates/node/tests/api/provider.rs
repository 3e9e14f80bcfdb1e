//! Signing in at an identity provider: a hostile one made here, and a real one where it is installed.
