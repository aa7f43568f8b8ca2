#!/usr/bin/env bash
# Unpacks the Ceph RADOS Gateway (a real S3 server) from Debian's packages: fetch-ceph-rgw.sh <folder>
#
# Nothing is installed and no root is needed: apt resolves the packages for an empty system of its own (its lists, cache
# and status stand in a scratch folder), dpkg unpacks them beside each other, and the server runs by the loader that came
# with them. About 15 s and 440 MiB, once; any host with apt and a Debian mirror will do.
#
# Steps: find a mirror; for each release of Debian that has a Ceph of today, ask for the packages, download, unpack; leave
# `complete` in the folder, without which a folder is half of one.
set -euo pipefail

target=$(realpath -m "${1:?which folder?}")
# Test files run beside each other: the first one fetches, the others wait for it.
mkdir -p "$(dirname "$target")"
exec 9>"$target.lock"
flock 9
[[ -f "$target/complete" ]] && exit 0

keyring=/usr/share/keyrings/debian-archive-keyring.gpg
# The mirror that the host's own apt uses.
mirror=${DEBIAN_MIRROR:-$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | grep -E '/debian/?$' | head -n 1 || true)}
if [[ -z "$mirror" ]]; then
	echo 'no Debian mirror among the apt sources' >&2
	exit 1
fi

scratch=$(mktemp -d)
trap 'rm -rf "$scratch" "$target.new"' EXIT

# What the gateway, a monitor and a storage daemon load; the rest of their dependencies (Python, systemd) is not used.
wanted='^(lib.*|ceph-(mon|osd|base|common)|radosgw|zlib1g)$'

for suite in forky sid; do
	root="$scratch/$suite"
	mkdir -p "$root/lists/partial" "$root/cache/archives/partial" "$root/packages"
	: >"$root/status"
	echo "deb [signed-by=$keyring] $mirror $suite main" >"$root/sources.list"
	apt_options=(
		-o Dir::Etc::sourcelist="$root/sources.list" -o Dir::Etc::sourceparts=-
		-o Dir::State="$root" -o Dir::State::Lists="$root/lists" -o Dir::State::status="$root/status"
		-o Dir::Cache="$root/cache"
		-o APT::Install-Recommends=0 -o APT::Sandbox::User= -o Debug::NoLocking=1
		-o Acquire::Languages=none -o Acquire::Retries=3
	)
	apt-get "${apt_options[@]}" -qq update || continue
	# A simulated installation lists what would be installed.
	packages=$(apt-get "${apt_options[@]}" -s install radosgw ceph-mon ceph-osd | awk '/^Inst/ { print $2 }' | grep -E "$wanted") || continue
	# Split into words on purpose: package names have no spaces.
	(cd "$root/packages" && apt-get "${apt_options[@]}" -qq download $packages)
	rm -rf "$target.new"
	mkdir -p "$target.new"
	for package in "$root"/packages/*.deb; do dpkg -x "$package" "$target.new"; done
	rm -rf "$target.new/usr/share"
	touch "$target.new/complete"
	rm -rf "$target"
	mv "$target.new" "$target"
	exit 0
done

echo 'no Debian release on this mirror has Ceph RGW' >&2
exit 1
