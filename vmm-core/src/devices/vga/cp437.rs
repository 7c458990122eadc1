//! Code page 437: what the character codes of text modes look like in the fonts of PC firmware.

/// Rows of 16 characters by code. Codes 0, 32 and 255 are blank.
const TABLE: &str = " ☺☻♥♦♣♠•◘○◙♂♀♪♫☼\
►◄↕‼¶§▬↨↑↓→←∟↔▲▼\u{20}\
!\"#$%&'()*+,-./\
0123456789:;<=>?\
@ABCDEFGHIJKLMNO\
PQRSTUVWXYZ[\\]^_\
`abcdefghijklmno\
pqrstuvwxyz{|}~⌂\
ÇüéâäàåçêëèïîìÄÅ\
ÉæÆôöòûùÿÖÜ¢£¥₧ƒ\
áíóúñÑªº¿⌐¬½¼¡«»\
░▒▓│┤╡╢╖╕╣║╗╝╜╛┐\
└┴┬├─┼╞╟╚╔╩╦╠═╬╧\
╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀\
αßΓπΣσµτΦΘΩδ∞φε∩\
≡±≥≤⌠⌡÷≈°∙·√ⁿ²■\u{20}";

/// Appends the characters of `codes` to `text`.
pub(super) fn append(text: &mut String, codes: &[u8]) {
    // ASCII, nearly always, needs no table.
    let mut table: Option<Vec<char>> = None;
    for &code in codes {
        match code {
            0x20..=0x7e => text.push(char::from(code)),
            0 | 0xff => text.push(' '),
            _ => {
                let table = table.get_or_insert_with(|| TABLE.chars().collect());
                text.push(table.get(usize::from(code)).copied().unwrap_or(' '));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_its_place() {
        let table: Vec<char> = TABLE.chars().collect();
        assert_eq!(table.len(), 256);
        for code in 0x20..0x7fu8 {
            assert_eq!(table[usize::from(code)], char::from(code));
        }
        let mut text = String::new();
        append(&mut text, &[0x00, 0x01, b'B', 0xc9, 0xcd, 0xdb, 0xe1, 0xfe, 0xff]);
        assert_eq!(text, " ☺B╔═█ß■ ");
    }
}
