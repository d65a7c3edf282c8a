"""Zips one bootstrap so that the same file always gives the same bytes: fixed time, fixed mode, one compression."""

import sys
import zipfile

target, bootstrap = sys.argv[1:]
entry = zipfile.ZipInfo("bootstrap", date_time=(1980, 1, 1, 0, 0, 0))
entry.external_attr = 0o100755 << 16
entry.create_system = 3
with open(bootstrap, "rb") as file, zipfile.ZipFile(target, "w") as package:
    package.writestr(entry, file.read(), compress_type=zipfile.ZIP_DEFLATED, compresslevel=9)
    print(f"{sum(info.compress_size for info in package.infolist()) / 1e6:.2f} MB")
