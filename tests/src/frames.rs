//! Just enough of Postgres's wire protocol to know whose turn it is. Called by the proxy; it reads no values.
//!
//! <https://www.postgresql.org/docs/current/protocol-message-formats.html>

/// Codes that stand in place of a protocol version in a client's first message: a request for TLS or GSSAPI encryption.
const ENCRYPTION: [u32; 2] = [80_877_103, 80_877_104];

/// One message that has passed whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Message {
    /// The client's first, which has no type.
    Startup,
    /// The client asks for encryption: nothing can be read from here on.
    Encryption,
    /// Any other, by its type.
    Typed(u8),
}

/// Cuts one direction of a connection into messages, however its bytes are grouped.
#[derive(Debug)]
struct Frames {
    first: bool,
    header: Vec<u8>,
    rest: usize,
}

impl Frames {
    fn feed(&mut self, mut bytes: &[u8], mut found: impl FnMut(Message)) {
        while !bytes.is_empty() {
            let size = if self.first { 8 } else { 5 };
            if self.header.len() < size {
                self.header.push(bytes[0]);
                bytes = &bytes[1..];
                if self.header.len() < size {
                    continue;
                }
                self.rest = self.length().saturating_sub(if self.first { 8 } else { 4 });
            }
            let taken = self.rest.min(bytes.len());
            self.rest -= taken;
            bytes = &bytes[taken..];
            if self.rest == 0 {
                found(self.message());
                self.first = false;
                self.header.clear();
            }
        }
    }

    fn number(&self, at: usize) -> u32 {
        self.header[at..at + 4].iter().fold(0, |number, &byte| number << 8 | u32::from(byte))
    }

    fn length(&self) -> usize {
        self.number(usize::from(!self.first)) as usize
    }

    fn message(&self) -> Message {
        match self.first {
            true if ENCRYPTION.contains(&self.number(4)) => Message::Encryption,
            true => Message::Startup,
            false => Message::Typed(self.header[0]),
        }
    }
}

/// What client and server owe each other on one connection.
#[derive(Debug)]
pub(crate) struct Conversation {
    from_client: Frames,
    from_server: Frames,
    /// Requests to which the server answers that it is ready for the next.
    asked: u64,
    answered: u64,
    /// Whether the client has all it waits for, so that what it sends next is a new round trip.
    turn: bool,
    opaque: bool,
}

impl Conversation {
    pub(crate) fn new() -> Self {
        let frames = |first| Frames { first, header: Vec::new(), rest: 0 };
        Conversation {
            from_client: frames(true),
            from_server: frames(false),
            asked: 0,
            answered: 0,
            turn: false,
            opaque: false,
        }
    }

    /// Takes note of what the client sends; true when this begins a new round trip.
    pub(crate) fn client(&mut self, bytes: &[u8]) -> bool {
        let new = std::mem::take(&mut self.turn);
        if !self.opaque {
            let (asked, opaque) = (&mut self.asked, &mut self.opaque);
            self.from_client.feed(bytes, |message| match message {
                Message::Encryption => *opaque = true,
                // Query, Sync and FunctionCall are what ReadyForQuery answers.
                Message::Startup | Message::Typed(b'Q' | b'S' | b'F') => *asked += 1,
                Message::Typed(_) => {}
            });
        }
        new
    }

    /// Takes note of what is delivered to the client.
    pub(crate) fn server(&mut self, bytes: &[u8]) {
        if self.opaque {
            self.answered = self.asked;
            self.turn = true;
            return;
        }
        let (asked, answered, turn) = (self.asked, &mut self.answered, &mut self.turn);
        self.from_server.feed(bytes, |message| match message {
            Message::Typed(b'Z') => {
                *answered += 1;
                *turn = *answered >= asked;
            }
            // The client is to log in, or to send its rows.
            Message::Typed(b'R' | b'G' | b'W') => *turn = true,
            _ => {}
        });
    }

    /// Whether the server has nothing more to say until it is asked.
    pub(crate) fn settled(&self) -> bool {
        self.answered >= self.asked
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: u8, body: usize) -> Vec<u8> {
        let length = u32::try_from(body + 4).unwrap().to_be_bytes();
        [&[kind][..], &length, &vec![7; body]].concat()
    }

    fn startup(code: u32, body: usize) -> Vec<u8> {
        let length = u32::try_from(body + 8).unwrap().to_be_bytes();
        [&length[..], &code.to_be_bytes(), &vec![0; body]].concat()
    }

    /// Client and server by turns, the client first. Returns the number of round trips that were begun.
    fn trips(turns: &[Vec<u8>], grouped: usize) -> usize {
        let mut conversation = Conversation::new();
        let mut trips = 0;
        for (at, bytes) in turns.iter().enumerate() {
            for some in bytes.chunks(grouped) {
                if at % 2 == 0 {
                    trips += usize::from(conversation.client(some));
                } else {
                    conversation.server(some);
                }
            }
        }
        trips
    }

    #[test]
    fn a_round_trip_begins_when_all_is_answered() {
        let ready = || message(b'Z', 1);
        let login =
            vec![startup(196_608, 30), message(b'R', 8), message(b'p', 9), [message(b'R', 4), ready()].concat()];
        let with = |more: &[Vec<u8>]| [&login[..], more].concat();
        let check = |turns: Vec<Vec<u8>>, expect: usize| {
            for grouped in [1, 3, 1000] {
                assert_eq!(trips(&turns, grouped), expect, "{grouped} at a time");
            }
        };
        check(login.clone(), 1);
        check(with(&[message(b'Q', 5)]), 2);
        // Rows without an end are no answer yet: what the client adds meanwhile belongs to the same flush.
        let sync = || [message(b'P', 9), message(b'S', 0)].concat();
        check(with(&[sync(), message(b'1', 0), sync(), [ready(), ready()].concat()]), 2);
        check(with(&[[sync(), sync()].concat(), ready(), sync(), [ready(), ready()].concat()]), 2);
        check(with(&[sync(), ready(), sync(), ready()]), 3);
        // Rows for a copy: asked for by the server, and so another round trip.
        check(with(&[message(b'Q', 4), message(b'G', 3), message(b'd', 50), ready()]), 3);
    }

    #[test]
    fn behind_encryption_a_change_of_direction_counts() {
        let turns = vec![startup(80_877_103, 0), b"S".to_vec(), vec![1; 9], vec![2; 9], vec![3; 9]];
        assert_eq!(trips(&turns, 1000), 2);
    }
}
