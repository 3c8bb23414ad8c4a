//! Small pictures that any viewer shows.

/// A PNG of so many pixels in width and height, in one colour (red, green, blue).
pub fn picture(width: u32, height: u32, colour: [u8; 3]) -> Vec<u8> {
    // Each line begins with its filter: none.
    let line: Vec<u8> = std::iter::once(0).chain((0..width).flat_map(|_| colour)).collect();
    let lines: Vec<u8> = (0..height).flat_map(|_| line.iter().copied()).collect();
    let mut header = Vec::new();
    header.extend_from_slice(&width.to_be_bytes());
    header.extend_from_slice(&height.to_be_bytes());
    // Eight bits a channel, colours, and the only ways there are to compress, filter and interlace.
    header.extend_from_slice(&[8, 2, 0, 0, 0]);
    let mut png = b"\x89PNG\r\n\x1a\n".to_vec();
    chunk(&mut png, b"IHDR", &header);
    chunk(&mut png, b"IDAT", &stored(&lines));
    chunk(&mut png, b"IEND", &[]);
    png
}

fn chunk(png: &mut Vec<u8>, name: &[u8; 4], data: &[u8]) {
    png.extend_from_slice(&u32::try_from(data.len()).expect("a small picture").to_be_bytes());
    let begin = png.len();
    png.extend_from_slice(name);
    png.extend_from_slice(data);
    let sum = crc(&png[begin..]);
    png.extend_from_slice(&sum.to_be_bytes());
}

/// A stream of zlib (RFC 1950) whose blocks are not compressed.
fn stored(data: &[u8]) -> Vec<u8> {
    let mut out = vec![0x78, 0x01];
    let mut blocks = data.chunks(0xffff).peekable();
    while let Some(block) = blocks.next() {
        out.push(u8::from(blocks.peek().is_none()));
        let length = u16::try_from(block.len()).expect("a block");
        out.extend_from_slice(&length.to_le_bytes());
        out.extend_from_slice(&(!length).to_le_bytes());
        out.extend_from_slice(block);
    }
    let (mut low, mut high) = (1_u32, 0_u32);
    for byte in data {
        low = (low + u32::from(*byte)) % 65_521;
        high = (high + low) % 65_521;
    }
    out.extend_from_slice(&((high << 16) | low).to_be_bytes());
    out
}

/// The check sum of PNG's chunks (its specification, annex D).
fn crc(data: &[u8]) -> u32 {
    let sum = data.iter().fold(u32::MAX, |sum, byte| {
        let mixed = (0..8).fold((sum ^ u32::from(*byte)) & 0xff, |bits, _| {
            if bits & 1 == 1 { 0xedb8_8320 ^ (bits >> 1) } else { bits >> 1 }
        });
        mixed ^ (sum >> 8)
    });
    !sum
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_picture_is_a_png() {
        assert_eq!(super::crc(b"123456789"), 0xcbf4_3926);
        let png = super::picture(2, 3, [255, 0, 0]);
        assert!(png.starts_with(b"\x89PNG\r\n\x1a\n") && png.ends_with(b"IEND\xae\x42\x60\x82"), "{png:?}");
    }
}
