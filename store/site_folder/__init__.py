"""The site folder (architecture.md): site.toml, tables from a spreadsheet, profiles; read whole, every mistake at once."""

from store.site_folder.load import check_site, load_site, read_site
from store.site_folder.policies import load_policy
from store.site_folder.profiles import load_profile, load_profiles
from store.site_folder.single import load_curves, load_exclusions, load_rooms

__all__ = [
    "check_site",
    "load_curves",
    "load_exclusions",
    "load_policy",
    "load_profile",
    "load_profiles",
    "load_rooms",
    "load_site",
    "read_site",
]
