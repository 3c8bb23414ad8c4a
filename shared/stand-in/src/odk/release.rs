//! What the releases of Central can do.

/// A release, and so what is missing from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Release {
    /// Pages by `$skip`, which its own nextLink has.
    V2023_3,
    /// Pages by `$skiptoken`. Nothing can be deleted.
    V2023_4,
    /// Submissions can be deleted and restored, and no row tells.
    V2024_2,
    /// `deletedAt` of submissions.
    V2024_3,
    /// `deletedAt` of entities.
    V2025_1,
    /// Filters by `__id`.
    V2025_3,
    /// ETags of feeds.
    V2026_2,
}

impl Release {
    pub(super) fn has_cursors(self) -> bool {
        self >= Release::V2023_4
    }

    pub(super) fn knows_deletions(self) -> bool {
        self >= Release::V2024_3
    }

    pub(super) fn knows_deleted_entities(self) -> bool {
        self >= Release::V2025_1
    }

    pub(super) fn filters_by_id(self) -> bool {
        self >= Release::V2025_3
    }

    pub(super) fn has_etags(self) -> bool {
        self >= Release::V2026_2
    }

    /// As `/version.txt` has it.
    pub(super) fn tag(self) -> &'static str {
        match self {
            Release::V2023_3 => "v2023.3.1",
            Release::V2023_4 => "v2023.4.0",
            Release::V2024_2 => "v2024.2.1",
            Release::V2024_3 => "v2024.3.2",
            Release::V2025_1 => "v2025.1.3",
            Release::V2025_3 => "v2025.3.0",
            Release::V2026_2 => "v2026.2.2",
        }
    }
}
