#!/bin/sh
# Run a command as on a machine without network, with the locale C and a home that cannot be written to; the tests must
# pass there too: sh tests/apart.sh COMMAND ...
# Where the system allows no namespaces this is said, and the locale is all that is changed.
export LANG=C LC_ALL=C
unset XDG_CACHE_HOME XDG_CONFIG_HOME
if ! unshare -rnm true 2>/dev/null; then
    echo "tests/apart.sh: no namespaces here (unshare -rnm); with network and home" >&2
    exec "$@"
fi
scratch=$(mktemp -d)
mkdir "$scratch/home" "$scratch/fonts"
# Only what is inside sees what is mounted; 0x8914 sets the flags of a network interface, 0x49 is up. Without a folder of
# its own matplotlib would look for the fonts of the system in every process, and say so.
HOME=$scratch/home MPLCONFIGDIR=$scratch/fonts unshare -rnm sh -c '
    mount -t tmpfs -o ro tmpfs "$HOME" &&
    python -c "import fcntl, socket; fcntl.ioctl(socket.socket(), 0x8914, bytes([*b\"lo\", *bytes(14), 0x49, *bytes(23)]))" &&
    exec "$@"' sh "$@"
status=$?
rm -r "$scratch"
exit $status
