//! TLS: whom the daemon trusts, which certificate it presents, and what it reports if that fails.

mod own_certificate;
mod plaintext_or_tls;
mod server_certificate;
mod tls_files;
