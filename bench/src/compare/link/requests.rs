//! Counts the requests that a client sends over one HTTP/1.1 connection.

/// The longest request head. Longer data is not HTTP.
const LONGEST_HEAD: usize = 64 * 1024;

/// Parses the traffic of one connection. It stops counting after data that is not HTTP/1.1, such as TLS.
#[derive(Debug, Default)]
pub(super) struct Requests {
    state: State,
}

#[derive(Debug)]
enum State {
    /// The lines of a request up to the empty line.
    Head(Vec<u8>),
    Body(u64),
    /// The line with the size of the next chunk.
    ChunkSize(Vec<u8>),
    /// The number of remaining bytes of a chunk and of the line end after it.
    Chunk(u64),
    /// The lines after the last chunk.
    Trailer(Vec<u8>),
    Unreadable,
}

impl Default for State {
    fn default() -> Self {
        Self::Head(Vec::new())
    }
}

impl Requests {
    /// Parses the next bytes, and reports the method of each request whose head ends in them.
    pub(super) fn feed(&mut self, mut bytes: &[u8], mut on_request: impl FnMut(&str)) {
        while !bytes.is_empty() {
            let state = std::mem::replace(&mut self.state, State::Unreadable);
            self.state = match state {
                State::Unreadable => return,
                State::Head(head) => match line_end(head, &mut bytes, b"\r\n\r\n") {
                    Piece::Part(head) => State::Head(head),
                    Piece::Whole(head) => head_read(&head, &mut on_request),
                    Piece::TooLong => State::Unreadable,
                },
                State::Body(left) => skip(left, &mut bytes).map_or(State::default(), State::Body),
                State::ChunkSize(line) => match line_end(line, &mut bytes, b"\r\n") {
                    Piece::Part(line) => State::ChunkSize(line),
                    Piece::Whole(line) => chunk(&line),
                    Piece::TooLong => State::Unreadable,
                },
                State::Chunk(left) => {
                    skip(left, &mut bytes).map_or(State::ChunkSize(Vec::new()), State::Chunk)
                }
                State::Trailer(line) => match line_end(line, &mut bytes, b"\r\n") {
                    Piece::Part(line) => State::Trailer(line),
                    Piece::Whole(line) if line.len() == 2 => State::default(),
                    Piece::Whole(_) => State::Trailer(Vec::new()),
                    Piece::TooLong => State::Unreadable,
                },
            };
        }
    }
}

enum Piece {
    Part(Vec<u8>),
    Whole(Vec<u8>),
    TooLong,
}

/// Moves bytes from `bytes` to the end of `read`, until `read` ends with `end`.
fn line_end(mut read: Vec<u8>, bytes: &mut &[u8], end: &[u8]) -> Piece {
    while let [first, rest @ ..] = *bytes {
        read.push(*first);
        *bytes = rest;
        if read.ends_with(end) {
            return Piece::Whole(read);
        }
        if read.len() > LONGEST_HEAD {
            return Piece::TooLong;
        }
    }
    Piece::Part(read)
}

/// Skips up to `left` bytes. Returns the number of bytes that are still missing, or `None` if there are none.
fn skip(left: u64, bytes: &mut &[u8]) -> Option<u64> {
    let here = left.min(bytes.len() as u64);
    *bytes = &bytes[here as usize..];
    Some(left - here).filter(|left| *left > 0)
}

fn chunk(line: &[u8]) -> State {
    let text = String::from_utf8_lossy(line);
    match u64::from_str_radix(text.split(';').next().unwrap_or_default().trim(), 16) {
        Ok(0) => State::Trailer(Vec::new()),
        Ok(size) => State::Chunk(size.saturating_add(2)),
        Err(_) => State::Unreadable,
    }
}

/// Reports the request of a complete head, and returns the state after the head.
fn head_read(head: &[u8], on_request: &mut impl FnMut(&str)) -> State {
    let text = String::from_utf8_lossy(head);
    let mut lines = text.split("\r\n");
    let mut words = lines.next().unwrap_or_default().split(' ');
    let method = words.next().unwrap_or_default();
    if method.is_empty() || words.nth(1) != Some("HTTP/1.1") {
        return State::Unreadable;
    }
    on_request(method);
    let mut length = 0;
    for (name, value) in lines.filter_map(|line| line.split_once(':')) {
        if name.eq_ignore_ascii_case("transfer-encoding") && value.trim().eq_ignore_ascii_case("chunked") {
            return State::ChunkSize(Vec::new());
        }
        if name.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse().unwrap_or(0);
        }
    }
    if length == 0 { State::default() } else { State::Body(length) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TALK: &str = "HEAD /v2/a HTTP/1.1\r\nHost: x\r\n\r\n\
        PUT /v2/b HTTP/1.1\r\nContent-Length: 20\r\n\r\nGET / HTTP/1.1\r\n\r\nab\
        PATCH /v2/c HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n4;x=y\r\nGET \r\n0\r\nA: b\r\n\r\n\
        GET /v2/d HTTP/1.1\r\n\r\n";

    fn methods(bytes: &[u8], piece: usize) -> Vec<String> {
        let mut requests = Requests::default();
        let mut found = Vec::new();
        for part in bytes.chunks(piece) {
            requests.feed(part, |method| found.push(method.to_owned()));
        }
        found
    }

    #[test]
    fn counts_request_heads_but_not_bodies_that_look_like_heads() {
        for piece in [1, 3, 7, 1000] {
            assert_eq!(methods(TALK.as_bytes(), piece), ["HEAD", "PUT", "PATCH", "GET"], "{piece}");
        }
    }

    #[test]
    fn counts_no_requests_in_non_http_traffic() {
        assert!(methods(&[0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3, b'\r', b'\n', b'\r', b'\n'], 4).is_empty());
        assert!(methods(&vec![b'a'; 2 * LONGEST_HEAD], 1000).is_empty());
        assert_eq!(methods(b"GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 9), ["GET"]);
    }
}
