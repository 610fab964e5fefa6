//! TLS: whom the daemon trusts, what it shows, and what it tells where that fails.

mod own_certificate;
mod plaintext_or_tls;
mod server_certificate;
mod tls_files;
