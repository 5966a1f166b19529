# Sourced by the scripts beside it: where the repository is, how to speak, and which cargo to use.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
target=${CARGO_TARGET_DIR:-$root/target}
case $target in
    /*) ;;
    *) target=$root/$target ;;
esac
export CARGO_TARGET_DIR=$target

# The oldest Rust that compiles this, as in Cargo.toml.
rust_needed=1.90

say() {
    printf '%s\n' "$*" >&2
}

fail() {
    say "error: $*"
    exit 1
}

# Whether $1 is at least version $2.
at_least() {
    [ "$(printf '%s\n%s\n' "$2" "$1" | sort -V | head -n 1)" = "$2" ]
}

# Prints the version of the cargo $1, or nothing.
cargo_version() {
    "$1" --version 2>/dev/null | awk '$1 == "cargo" { print $2 }' || true
}

# Puts a cargo that is new enough on PATH. False: there is none. A PATH that has one is left alone, because cargo
# compiles the bindings to PHP anew whenever PATH has changed.
find_cargo() {
    local place version
    for place in "$(command -v cargo || true)" "${CARGO_HOME:-$HOME/.cargo}/bin/cargo"; do
        [ -x "$place" ] || continue
        version=$(cargo_version "$place")
        if [ -n "$version" ] && at_least "$version" "$rust_needed"; then
            [ "$place" = "$(command -v cargo || true)" ] || PATH=$(dirname "$place"):$PATH
            export PATH
            return 0
        fi
    done
    return 1
}
