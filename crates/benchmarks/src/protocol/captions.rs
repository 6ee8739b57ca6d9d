//! How a question's captions become the modification text.

use std::collections::HashMap;

/// CoVR reads this many words and no more.
const COVR_WORDS: usize = 30;

/// How a question's captions become the modification text.
///
/// FashionIQ gives two captions for each pair, and every code base joins them in its own way; a
/// set with one caption goes through the same cleaning.
///
/// ```
/// use benchmarks::CaptionRule;
/// let none = Default::default();
/// let two = ["Is longer.", "has no Sleeves"];
/// assert_eq!(CaptionRule::And.texts(&two, &none), ["is longer and has no sleeves"]);
/// assert_eq!(CaptionRule::AndCapitalised.texts(&two, &none), ["Is longer and has no Sleeves"]);
/// assert_eq!(
///     CaptionRule::BothOrders.texts(&two, &none),
///     ["Is longer and has no Sleeves", "has no Sleeves and Is longer"]
/// );
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CaptionRule {
    /// As the set gives it; two captions are joined by "and" and nothing else is touched.
    #[default]
    AsGiven,
    /// `a and b`, in lower case, without `. ! " ( ) * # : ; ~`, thirty words at most (CoVR).
    And,
    /// `a and b`, in lower case, without punctuation, each word put right by the set's own list of
    /// corrections (HUD, ReTrack, ENCODER, OFFSET, MELT).
    AndCorrected,
    /// `A and b`: stripped of `. ? ,`, the first capitalised (CLIP4Cir, SPRC).
    AndCapitalised,
    /// `a and b`, and `b and a`: both are asked and their embeddings averaged (SEARLE, LinCIR, CIG).
    BothOrders,
}

impl CaptionRule {
    /// The texts to be asked: one, or two whose embeddings are to be averaged.
    ///
    /// `corrections` is the set's own word list (`correction_dict_*.json`); empty where it has none.
    pub fn texts(self, captions: &[&str], corrections: &HashMap<String, String>) -> Vec<String> {
        let strip = |c: &&str| c.trim_matches(['.', '?', ',', ' ']).to_owned();
        let joined = |parts: Vec<String>| parts.join(" and ");
        match self {
            CaptionRule::AsGiven => vec![captions.join(" and ")],
            CaptionRule::And => vec![covr(&captions.join(" and "))],
            CaptionRule::AndCorrected => {
                vec![joined(captions.iter().map(|c| corrected(c, corrections)).collect())]
            }
            CaptionRule::AndCapitalised => {
                let mut parts: Vec<String> = captions.iter().map(strip).collect();
                if let Some(first) = parts.first_mut() {
                    *first = capitalised(first);
                }
                vec![joined(parts)]
            }
            CaptionRule::BothOrders => {
                let mut parts: Vec<String> = captions.iter().map(strip).collect();
                let there = joined(parts.clone());
                if parts.len() < 2 {
                    return vec![there];
                }
                parts.reverse();
                vec![there, joined(parts)]
            }
        }
    }
}

impl std::fmt::Display for CaptionRule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            CaptionRule::AsGiven => "as given",
            CaptionRule::And => "a and b, cleaned as CoVR does",
            CaptionRule::AndCorrected => "a and b, words corrected",
            CaptionRule::AndCapitalised => "A and b, the first capitalised",
            CaptionRule::BothOrders => "a and b, b and a, averaged",
        })
    }
}

/// CoVR's `pre_caption`, from its description.
fn covr(text: &str) -> String {
    let mark = |c: char| matches!(c, '.' | '!' | '"' | '(' | ')' | '*' | '#' | ':' | ';' | '~');
    let clean: String = text.to_lowercase().chars().map(|c| if mark(c) { ' ' } else { c }).collect();
    clean.split_whitespace().take(COVR_WORDS).collect::<Vec<_>>().join(" ")
}

/// Lower case, punctuation to spaces, each word looked up.
fn corrected(text: &str, corrections: &HashMap<String, String>) -> String {
    let clean: String = text.to_lowercase().chars().map(|c| if c.is_ascii_punctuation() { ' ' } else { c }).collect();
    let word = |w: &str| corrections.get(w).cloned().unwrap_or_else(|| w.to_owned());
    clean.split_whitespace().map(word).collect::<Vec<_>>().join(" ")
}

/// Python's `str.capitalize`: the first letter large, all others small.
fn capitalised(text: &str) -> String {
    let mut chars = text.chars();
    match chars.next() {
        Some(first) => first.to_uppercase().chain(chars.as_str().to_lowercase().chars()).collect(),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_rule_is_the_published_one() {
        let none = HashMap::new();
        let published = "Is (much) longer: \"red\". and has No sleeves!";
        assert_eq!(CaptionRule::And.texts(&[published], &none), ["is much longer red and has no sleeves"]);
        let long = "w ".repeat(40);
        assert_eq!(CaptionRule::And.texts(&[&long], &none)[0].split(' ').count(), 30);

        let list = HashMap::from([("slevees".to_owned(), "sleeves".to_owned())]);
        assert_eq!(CaptionRule::AndCorrected.texts(&["No slevees,", "it's RED"], &list), ["no sleeves and it s red"]);
        assert_eq!(CaptionRule::AndCapitalised.texts(&["is RED.", " is Long? "], &none), ["Is red and is Long"]);
        assert_eq!(CaptionRule::BothOrders.texts(&["one alone."], &none), ["one alone"]);
        assert_eq!(CaptionRule::AsGiven.texts(&["A.", "b"], &none), ["A. and b"]);
        for rule in [CaptionRule::AndCapitalised, CaptionRule::AndCorrected, CaptionRule::And] {
            assert_eq!(rule.texts(&[""], &none), [""], "{rule:?}");
        }
    }
}
