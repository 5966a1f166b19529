//! Guesses which key a mistyped one was meant to be. Pure.

/// The nearest of `names`, if it is at most two typing slips away.
pub(crate) fn nearest<'n>(key: &str, names: impl Iterator<Item = &'n &'n str>) -> Option<&'n str> {
    names
        .map(|name| (distance(key, name), *name))
        // Two slips in a three-letter word make any other word of it.
        .filter(|(distance, name)| *distance <= 2 && distance * 3 <= name.len().max(key.len()))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// Typing slips between two words: letters added, lost, changed or swapped. Stops counting at a length
/// difference of three.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().take(64).collect(), b.chars().take(64).collect());
    if a.len().abs_diff(b.len()) > 2 {
        return 3;
    }
    let mut rows = vec![vec![0; b.len() + 1]; a.len() + 1];
    for i in 0..=a.len() {
        for j in 0..=b.len() {
            if i == 0 || j == 0 {
                rows[i][j] = i + j;
                continue;
            }
            let change = usize::from(a[i - 1] != b[j - 1]);
            let mut best = (rows[i - 1][j] + 1).min(rows[i][j - 1] + 1).min(rows[i - 1][j - 1] + change);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            rows[i][j] = best;
        }
    }
    rows[a.len()][b.len()]
}
