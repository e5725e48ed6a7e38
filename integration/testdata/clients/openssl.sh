#!/bin/sh
# Resumes with openssl s_client. Arguments: server name, CA file, a directory for
# tickets, 2 for TLS 1.2 or 3 for TLS 1.3. Reads lines "ADDRESS OFFER KEEP":
# connect, offer the ticket named OFFER, keep the one that is issued as KEEP; - is
# none. Answers each with New or Reused, the lines of the page, ticket=DIGEST of
# the ticket that the session has in the end, and an empty line.
name=$1 ca=$2 dir=$3 minor=$4
while read -r address offer keep; do
	set -- -connect "$address" -servername "$name" -CAfile "$ca" -verify_hostname "$name" -verify_return_error "-tls1_$minor"
	[ "$offer" = - ] || set -- "$@" -sess_in "$dir/$offer"
	# It writes no session of TLS 1.2 that it has resumed. What came on that
	# connection shows in its output alone.
	[ "$keep" = - ] || set -- "$@" -sess_out "$dir/$keep"
	# The ticket of TLS 1.3 comes with the answer, which -ign_eof waits for.
	printf 'GET / HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n' "$name" |
		openssl s_client "$@" -ign_eof >"$dir/answer" 2>"$dir/trouble" || { cat "$dir/trouble" >&2; exit 1; }
	sed -n -e "s/^New, TLSv1\.$minor.*/New/p" -e "s/^Reused, TLSv1\.$minor.*/Reused/p" -e '/^[a-z]*=/p' "$dir/answer"
	ticket=$(sed -n '/session ticket:$/,/^$/p' "$dir/answer")
	[ -z "$ticket" ] || echo "ticket=$(echo "$ticket" | openssl dgst -sha256 -r | cut -c1-64)"
	echo
done
