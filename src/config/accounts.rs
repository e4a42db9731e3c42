//! Reads users, groups and file modes as operators write them.

/// The id of the user with this name, `None` if the system knows no such user.
pub(super) fn user_id(name: &str) -> Option<u32> {
    Some(nix::unistd::User::from_name(name).ok()??.uid.as_raw())
}

/// The id of the group with this name, `None` if the system knows no such group.
pub(super) fn group_id(name: &str) -> Option<u32> {
    Some(nix::unistd::Group::from_name(name).ok()??.gid.as_raw())
}

/// Reads a file mode in octal, such as 660.
pub(super) fn file_mode(text: &str) -> Option<u32> {
    u32::from_str_radix(text, 8).ok().filter(|mode| *mode <= 0o777)
}
