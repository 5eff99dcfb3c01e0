//! The name that a client chose, made safe to show on a consent page.

use unicode_properties::{GeneralCategory, UnicodeGeneralCategory};

/// The largest number of characters of a name.
const MAX_CHARS: usize = 128;

/// The largest number of characters that are drawn onto one. More would cover the lines above and below.
const MAX_JOINED: usize = 4;

/// The name contains a control character, which no client has by accident.
pub(super) struct Control;

/// Returns the visible part of `name`, on one line, in its own direction, and of limited length; `None` if nothing is
/// left.
///
/// | in the name | becomes |
/// |---|---|
/// | bidirectional overrides, zero-width, tag and other format characters, variation selectors, fillers | nothing |
/// | private-use and unassigned characters | nothing |
/// | blanks of any width and number, line and paragraph separators | one space, and none at either end |
/// | combining marks beyond the fourth, or with nothing to combine with | nothing |
/// | characters beyond the 128th | nothing; no character is cut off from what is drawn onto it |
pub(super) fn visible(name: &str) -> Result<Option<String>, Control> {
    let (mut seen, mut chars, mut ends) = (String::new(), 0, Vec::new());
    let (mut joined, mut is_half_a_flag, mut blank) = (None, false, false);
    for character in name.chars() {
        let kind = Kind::of(character)?;
        let completes_flag = is_half_a_flag && is_regional(character) && !blank;
        let joins = completes_flag || kind == Kind::Joins;
        match (kind, joined) {
            (Kind::Invisible, _) => continue,
            (Kind::Blank, _) => {
                (joined, blank) = (None, !seen.is_empty());
                continue;
            }
            // There is no character to draw onto, or it has enough.
            (Kind::Joins, None | Some(MAX_JOINED)) => continue,
            _ => {}
        }
        if !joins {
            ends.push((seen.len(), chars));
            if blank {
                seen.push(' ');
                chars += 1;
            }
            blank = false;
        }
        seen.push(character);
        chars += 1;
        joined = Some(if joins { joined.map_or(1, |joined| joined + 1) } else { 0 });
        is_half_a_flag = is_regional(character) && !completes_flag;
    }
    if chars > MAX_CHARS {
        let end = ends.iter().rfind(|(_, chars)| *chars <= MAX_CHARS).map_or(0, |(end, _)| *end);
        seen.truncate(end);
    }
    Ok(Some(seen).filter(|seen| !seen.is_empty()))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Visible,
    /// The character is drawn onto the one before.
    Joins,
    Blank,
    Invisible,
}

impl Kind {
    fn of(character: char) -> Result<Self, Control> {
        use GeneralCategory as Category;
        Ok(match character {
            // Unicode does not classify the Braille blank as a space.
            '\u{2800}' => Self::Blank,
            // Default_Ignorable_Code_Point where the category does not show it: joiner, fillers, vowels, variation
            // selectors.
            '\u{34F}' | '\u{115F}' | '\u{1160}' | '\u{17B4}' | '\u{17B5}' | '\u{180B}'..='\u{180F}' => Self::Invisible,
            '\u{3164}' | '\u{FE00}'..='\u{FE0F}' | '\u{FFA0}' | '\u{E0100}'..='\u{E01EF}' => Self::Invisible,
            // Others without a glyph: consonant joiner, fillers, blanks, a note without a head, the object replacement
            // character.
            '\u{2D7F}' | '\u{16FE4}' | '\u{13441}' | '\u{13442}' | '\u{1D159}' | '\u{FFFC}' => Self::Invisible,
            // Skin tones, and the vowels and finals of a Hangul syllable that is spelled in parts.
            '\u{1F3FB}'..='\u{1F3FF}' | '\u{1161}'..='\u{11FF}' | '\u{D7B0}'..='\u{D7FB}' => Self::Joins,
            _ => match character.general_category() {
                Category::Control => return Err(Control),
                Category::Format | Category::Surrogate | Category::PrivateUse | Category::Unassigned => Self::Invisible,
                Category::SpaceSeparator | Category::LineSeparator | Category::ParagraphSeparator => Self::Blank,
                Category::NonspacingMark | Category::SpacingMark | Category::EnclosingMark => Self::Joins,
                _ => Self::Visible,
            },
        })
    }
}

/// Whether the character is a regional indicator. Two of them are one flag.
fn is_regional(character: char) -> bool {
    matches!(character, '\u{1F1E6}'..='\u{1F1FF}')
}

#[cfg(test)]
mod tests {
    use chacha20::ChaCha20Rng;
    use rand_core::{Rng, SeedableRng};

    use super::*;

    fn shown(name: &str) -> Option<String> {
        visible(name).ok().flatten()
    }

    #[test]
    fn name_of_any_script_stays_as_it_is() {
        for name in [
            "Notebook",
            "Ünïcödé",
            "メモ帳",
            "记事本",
            "مفكرة",
            "פנקס",
            "नोटबुक",
            "สมุดบันทึก",
            "메모장",
            "e\u{301}\u{323}",
            "🦀 📓",
            "👍🏽",
            "🇩🇪🇫🇷",
            "\u{1112}\u{1161}\u{11AB}",
            "a–b/c (d) \"e\" <f> & 'g'",
        ] {
            assert_eq!(shown(name).as_deref(), Some(name));
        }
    }

    #[test]
    fn name_loses_what_cannot_be_seen() {
        for invisible in [
            '\u{AD}',
            '\u{34F}',
            '\u{61C}',
            '\u{115F}',
            '\u{1160}',
            '\u{17B4}',
            '\u{180B}',
            '\u{180E}',
            '\u{180F}',
            '\u{200B}',
            '\u{200C}',
            '\u{200D}',
            '\u{200E}',
            '\u{200F}',
            '\u{202A}',
            '\u{202B}',
            '\u{202C}',
            '\u{202D}',
            '\u{202E}',
            '\u{2060}',
            '\u{2064}',
            '\u{2066}',
            '\u{2067}',
            '\u{2068}',
            '\u{2069}',
            '\u{206A}',
            '\u{206F}',
            '\u{2D7F}',
            '\u{3164}',
            '\u{E000}',
            '\u{FDD0}',
            '\u{FE00}',
            '\u{FE0F}',
            '\u{FEFF}',
            '\u{FFA0}',
            '\u{FFF9}',
            '\u{FFFB}',
            '\u{FFFC}',
            '\u{FFFE}',
            '\u{FFFF}',
            '\u{1D159}',
            '\u{1D173}',
            '\u{1FFFE}',
            '\u{E0001}',
            '\u{E0041}',
            '\u{E007F}',
            '\u{E0100}',
            '\u{E01EF}',
            '\u{E0FFF}',
            '\u{F0000}',
            '\u{10FFFF}',
            '\u{378}',
        ] {
            assert_eq!(shown(&format!("No{invisible}te")).as_deref(), Some("Note"), "{invisible:?}");
            assert_eq!(shown(&invisible.to_string().repeat(100)), None, "{invisible:?}");
        }
    }

    #[test]
    fn name_has_single_spaces_and_one_line() {
        for blank in [
            "  ", "\u{A0}", "\u{1680}", "\u{2000}", "\u{2003}", "\u{2028}", "\u{2029}", "\u{202F}", "\u{205F}",
            "\u{3000}", "\u{2800}",
        ] {
            assert_eq!(shown(&format!("{blank}No{blank}{blank}te{blank}")).as_deref(), Some("No te"), "{blank:?}");
            assert_eq!(shown(blank), None);
        }
    }

    #[test]
    fn name_with_a_control_character_is_refused() {
        for control in ['\0', '\t', '\n', '\r', '\u{1B}', '\u{7F}', '\u{85}', '\u{9B}'] {
            assert!(visible(&format!("No{control}te")).is_err(), "{control:?}");
        }
    }

    #[test]
    fn name_keeps_four_marks_on_a_character_and_none_alone() {
        assert_eq!(shown(&format!("a{}b", "\u{301}".repeat(50))), Some(format!("a{}b", "\u{301}".repeat(4))));
        assert_eq!(shown("\u{301}\u{20E0}a \u{301}b").as_deref(), Some("a b"));
        assert_eq!(shown(&"\u{1161}".repeat(500)), None);
        assert_eq!(shown(&format!("\u{1112}{}", "\u{1161}".repeat(500))).map(|name| name.chars().count()), Some(5));
    }

    #[test]
    fn name_is_shortened_between_two_characters() {
        for (name, kept) in [
            ("x".repeat(129), "x".repeat(128)),
            ("帳".repeat(43), "帳".repeat(43)),
            ("帳".repeat(200), "帳".repeat(128)),
            (format!("{}e\u{301}", "x".repeat(127)), "x".repeat(127)),
            (format!("{}👍🏽", "x".repeat(127)), "x".repeat(127)),
            (format!("{}🇩🇪", "x".repeat(127)), "x".repeat(127)),
            (format!("{} y", "x".repeat(127)), "x".repeat(127)),
            (format!("{}e\u{301}", "x".repeat(126)), format!("{}e\u{301}", "x".repeat(126))),
        ] {
            assert_eq!(shown(&name), Some(kept));
        }
    }

    /// Characters of every plane, and of the few that combine with one another.
    #[test]
    fn name_that_was_made_safe_stays_as_it_is() {
        let mut rng = ChaCha20Rng::from_seed([1; 32]);
        let combining: Vec<char> = ('\u{300}'..='\u{36F}').chain(['a', ' ']).chain('\u{1F1E6}'..='\u{1F1FF}').collect();
        for case in 0..2_000 {
            let length = rng.next_u32() % 301;
            let name: String = (0..length)
                .filter_map(|_| match case % 2 {
                    0 => char::from_u32(rng.next_u32() % 0x11_0000),
                    _ => Some(combining[rng.next_u32() as usize % combining.len()]),
                })
                .collect();
            if let Some(safe) = shown(&name) {
                assert!(safe.chars().count() <= MAX_CHARS);
                assert_eq!(shown(&safe), Some(safe.clone()), "{safe:?}");
            }
        }
    }
}
