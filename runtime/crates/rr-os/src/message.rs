//! Datagrams with descriptors between two processes (`SOCK_SEQPACKET`, `SCM_RIGHTS`).

use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType,
};
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Bytes a message can have.
pub const MAX_MESSAGE: usize = 64 * 1024;
/// Descriptors a message can carry.
pub const MAX_DESCRIPTORS: usize = 8;

/// A received message.
#[derive(Debug, Default)]
pub struct Message {
    /// The bytes; empty with no descriptors means the peer is gone.
    pub bytes: Vec<u8>,
    /// What came along, close-on-exec.
    pub descriptors: Vec<OwnedFd>,
}

/// Two connected ends, close-on-exec.
///
/// # Errors
/// Out of descriptors.
pub fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    let (kind, flags) = (SocketType::SEQPACKET, SocketFlags::CLOEXEC);
    Ok(rustix::net::socketpair(AddressFamily::UNIX, kind, flags, None)?)
}

/// Makes this end of a pair non-blocking.
///
/// # Errors
/// Never for a socket.
pub fn set_nonblocking(socket: &impl AsFd) -> io::Result<()> {
    Ok(rustix::io::ioctl_fionbio(socket, true)?)
}

/// Sends one message.
///
/// # Errors
/// `WouldBlock` on a non-blocking socket that is full, `BrokenPipe` when the peer is gone, `InvalidInput` when
/// the message is too large.
pub fn send(socket: &impl AsFd, bytes: &[u8], descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
    if bytes.len() > MAX_MESSAGE || descriptors.len() > MAX_DESCRIPTORS {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "a control message that is too large"));
    }
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() {
        control.push(SendAncillaryMessage::ScmRights(descriptors));
    }
    loop {
        match rustix::net::sendmsg(socket, &[IoSlice::new(bytes)], &mut control, SendFlags::NOSIGNAL) {
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
            Ok(_) => return Ok(()),
        }
    }
}

/// Receives one message; an empty one says that the peer is gone.
///
/// # Errors
/// `WouldBlock` on a non-blocking socket without a message, `InvalidData` when a message was cut off.
pub fn receive(socket: &impl AsFd) -> io::Result<Message> {
    let mut buffer = vec![0; MAX_MESSAGE];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let received = loop {
        let mut slices = [IoSliceMut::new(&mut buffer)];
        match rustix::net::recvmsg(socket, &mut slices, &mut control, RecvFlags::CMSG_CLOEXEC) {
            Err(rustix::io::Errno::INTR) => {}
            other => break other?,
        }
    };
    let descriptors = control
        .drain()
        .filter_map(|message| match message {
            RecvAncillaryMessage::ScmRights(descriptors) => Some(descriptors),
            _ => None,
        })
        .flatten()
        .collect();
    if received.flags.intersects(ReturnFlags::TRUNC | ReturnFlags::CTRUNC) {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "a control message was cut off"));
    }
    buffer.truncate(received.bytes);
    Ok(Message { bytes: buffer, descriptors })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_and_descriptors_arrive_together() {
        let (left, right) = pair().expect("pair");
        send(&left, b"hello", &[left.as_fd(), right.as_fd()]).expect("sends");
        let message = receive(&right).expect("receives");
        assert_eq!((&message.bytes[..], message.descriptors.len()), (&b"hello"[..], 2));
        drop((left, message));
        assert!(receive(&right).expect("end").bytes.is_empty());
    }
}
