//! TLS and proxies (L-21, L-24), against servers of the test with an authority of the test: what is not trusted gets
//! no request, and a proxy sees only where https requests to other machines go.

#[path = "tls/authority.rs"]
mod authority;
#[path = "tls/certificates.rs"]
mod certificates;
#[path = "tls/proxies.rs"]
mod proxies;
#[path = "tls/proxy.rs"]
mod proxy;
#[path = "tls/server.rs"]
mod server;
