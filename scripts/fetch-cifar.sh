#!/bin/sh
# Downloads CIFAR-10 and CIFAR-100 (Krizhevsky, 2009), binary version, checks
# them against the published MD5 sums and unpacks them.
# usage: scripts/fetch-cifar.sh [cifar10] [cifar100] [--into DIR]     (default: cifar10, into data/)
set -eu

base=${CIFAR_URL:-https://www.cs.toronto.edu/~kriz}
into=data
want=

fail() {
	echo "fetch-cifar: error: $1" >&2
	echo "fetch-cifar: hint: $2" >&2
	exit "${3:-1}"
}

while [ $# -gt 0 ]; do
	case $1 in
	cifar10 | cifar100) want="$want $1" ;;
	--into)
		[ $# -gt 1 ] || fail "--into needs a folder" "scripts/fetch-cifar.sh --into data" 2
		into=$2
		shift
		;;
	-h | --help)
		sed -n '2,4s/^# //p' "$0"
		exit 0
		;;
	*) fail "there is no dataset $1" "name cifar10 or cifar100" 2 ;;
	esac
	shift
done

command -v curl >/dev/null || fail "curl is not installed" "install it, or download $base/cifar-10-binary.tar.gz by hand and unpack it in $into" 2

md5() {
	if command -v md5sum >/dev/null; then md5sum "$1" | cut -d' ' -f1; else command md5 -q "$1"; fi
}

# fetch ARCHIVE MD5 FOLDER
fetch() {
	if [ -d "$into/$3" ]; then
		echo "fetch-cifar: $into/$3 is there already"
		return
	fi
	mkdir -p "$into"
	if [ ! -f "$into/$1" ]; then
		echo "fetch-cifar: $base/$1"
		curl --fail --location --retry 3 --continue-at - --output "$into/$1.part" "$base/$1" ||
			fail "could not download $base/$1" "check the connection and run this again (it goes on where it stopped), or copy the archive to $into/$1 from a machine that is online"
		mv "$into/$1.part" "$into/$1"
	fi
	got=$(md5 "$into/$1")
	[ "$got" = "$2" ] || fail "$into/$1 has the MD5 sum $got, not $2" "remove the file and run this again"
	work=$into/.unpack-$3
	rm -rf "$work"
	mkdir "$work"
	tar -xzf "$into/$1" -C "$work"
	mv "$work/$3" "$into/$3"
	rmdir "$work"
	echo "fetch-cifar: $into/$3"
}

for name in ${want:-cifar10}; do
	case $name in
	cifar10) fetch cifar-10-binary.tar.gz c32a1d4ab5d03f1284b67883e8d87530 cifar-10-batches-bin ;;
	cifar100) fetch cifar-100-binary.tar.gz 03b5dce01913d631647c71ecec9e9cb8 cifar-100-binary ;;
	esac
done
