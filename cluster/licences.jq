# The licences that packages state, from pip's report of what the lock file would install.
# An SPDX expression counts most, then the classifiers, then the first line of the free text.
["package", "version", "licence"],
(.install | sort_by(.metadata.name | ascii_downcase)[] | .metadata | [
  .name,
  (.version | split("+")[0]),
  (.license_expression
    // ([.classifier[]? | select(startswith("License :: ")) | split(" :: ")[-1]] | unique | join("; ") | select(. != ""))
    // ((.license // "not stated") | split("\n")[0]))
])
| @csv
