//! Binding: a loopback port of a family that works here, and that nobody else has.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use crate::error::{Error, Result};

pub(super) fn bind(address: IpAddr, port: u16) -> Result<TcpListener> {
    let listener = TcpListener::bind((address, port)).map_err(|cause| match cause.kind() {
        ErrorKind::AddrInUse => Error::PortTaken { port, address: address.to_string() },
        _ => no_loopback(cause),
    })?;
    // With the interface down an address can be bound that no browser comes to.
    let own = reachable(listener.local_addr().map_err(no_loopback)?);
    TcpStream::connect_timeout(&own, REACH_TIMEOUT).map_err(no_loopback)?;
    Ok(listener)
}

pub(super) fn bind_either(port: u16) -> Result<(Vec<TcpListener>, String)> {
    match bind(V4, port) {
        Ok(listener) => Ok((vec![listener], "127.0.0.1".to_owned())),
        Err(taken @ Error::PortTaken { .. }) => Err(taken),
        Err(_) => Ok((vec![bind(V6, port)?], "[::1]".to_owned())),
    }
}

/// A name may lead to either family: nobody else may own the other one's port (L-2).
pub(super) fn bind_both(address: IpAddr, port: u16) -> Result<Vec<TcpListener>> {
    let first = bind(address, port)?;
    let port = first.local_addr().map_err(no_loopback)?.port();
    if address == IpAddr::V6(Ipv6Addr::UNSPECIFIED) {
        return Ok(vec![first]); // takes both
    }
    match bind(if address.is_ipv4() { V6 } else { V4 }, port) {
        Ok(second) => Ok(vec![first, second]),
        Err(taken @ Error::PortTaken { .. }) => Err(taken),
        Err(_) => Ok(vec![first]), // no IPv6 here, so nobody can listen there
    }
}

/// Where our own listener can be reached from here.
pub(super) fn reachable(address: SocketAddr) -> SocketAddr {
    match address.ip() {
        ip if !ip.is_unspecified() => address,
        IpAddr::V4(_) => SocketAddr::new(V4, address.port()),
        IpAddr::V6(_) => SocketAddr::new(V6, address.port()),
    }
}

pub(super) fn no_loopback(cause: io::Error) -> Error {
    Error::NoLoopback(cause.to_string())
}

pub(super) const V4: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
pub(super) const V6: IpAddr = IpAddr::V6(Ipv6Addr::LOCALHOST);
/// A connection within this machine is made at once or not at all.
const REACH_TIMEOUT: Duration = Duration::from_secs(1);
