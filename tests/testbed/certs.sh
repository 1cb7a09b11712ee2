#!/bin/sh
# Makes a local CA and server certificates for 127.0.0.1, ::1 and localhost in
# state/certs (or the folder named as argument). Does nothing if they are there
# and good for another day.
#   ca.pem              what a client has to trust
#   server.pem/.key     good
#   wrong-host.pem/.key same CA, for other.example.test only
#   expired.pem/.key    same CA, ended in 2021
#   self-signed.pem/.key good names, no CA at all
set -eu
here=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd)
dir=${1:-$here/state/certs}
if [ -e "$dir/done" ]; then
  openssl x509 -checkend 86400 -noout -in "$dir/server.pem" >/dev/null && exit 0
  rm -rf "$dir"
fi
mkdir -p "$dir"
cd "$dir"
umask 077
names='DNS:localhost,IP:127.0.0.1,IP:::1'

key() { openssl ecparam -name prime256v1 -genkey -noout | openssl pkcs8 -topk8 -nocrypt -out "$1.key"; }

key ca
openssl req -x509 -new -key ca.key -sha256 -days 3650 -subj '/CN=Testbed CA' \
  -addext 'basicConstraints=critical,CA:TRUE' -addext 'keyUsage=critical,keyCertSign,cRLSign' -out ca.pem

: >index.txt
mkdir issued
cat >ca.cnf <<EOF
[ca]
default_ca = own
[own]
dir = .
database = index.txt
new_certs_dir = issued
rand_serial = yes
unique_subject = no
default_md = sha256
policy = any
[any]
commonName = supplied
EOF

leaf() { # name, alternative names, start, end
  key "$1"
  openssl req -new -key "$1.key" -subj "/CN=testbed $1" -out "$1.csr"
  cat >"$1.ext" <<EOF
basicConstraints=critical,CA:FALSE
keyUsage=critical,digitalSignature
extendedKeyUsage=serverAuth
subjectAltName=$2
EOF
  openssl ca -batch -notext -config ca.cnf -cert ca.pem -keyfile ca.key -in "$1.csr" \
    -extfile "$1.ext" -startdate "$3" -enddate "$4" -out "$1.pem" 2>/dev/null
  rm -f "$1.csr" "$1.ext"
}
now=$(date -u -d '-1 day' +%Y%m%d%H%M%SZ)
later=$(date -u -d '+365 days' +%Y%m%d%H%M%SZ)
leaf server "$names" "$now" "$later"
leaf wrong-host 'DNS:other.example.test' "$now" "$later"
leaf expired "$names" 20200101000000Z 20210101000000Z

key self-signed
openssl req -x509 -new -key self-signed.key -sha256 -days 365 -subj '/CN=testbed self-signed' \
  -addext 'basicConstraints=critical,CA:FALSE' -addext "subjectAltName=$names" \
  -addext 'extendedKeyUsage=serverAuth' -out self-signed.pem

rm -rf index.txt* ca.cnf issued
touch done
