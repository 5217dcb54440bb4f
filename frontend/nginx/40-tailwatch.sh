#!/bin/sh
# Run by the image's entry point before nginx starts: what depends on the settings. Says in words what cannot be.
set -eu

refuse() {
    echo "Tailwatch's web server cannot start: $*" >&2
    exit 1
}

mkdir -p /tmp/nginx

{
    # Proxies in front of this one, whose X-Forwarded-For and X-Forwarded-Proto are believed.
    echo 'real_ip_header X-Forwarded-For;'
    echo 'real_ip_recursive on;'
    networks=$(echo "${TRUSTED_PROXIES:-}" | tr ',' ' ')
    for network in $networks; do
        case $network in
        *[!0-9a-fA-F.:/]*) refuse "TRUSTED_PROXIES holds \"$network\"; it takes addresses and networks, such as 172.16.0.0/12" ;;
        esac
        echo "set_real_ip_from $network;"
    done
    echo 'geo $realip_remote_addr $behind_proxy {'
    echo '    default 0;'
    for network in $networks; do
        echo "    $network 1;"
    done
    echo '}'
    echo 'map "$behind_proxy:$http_x_forwarded_proto" $shown_scheme {'
    echo '    default $scheme;'
    echo '    "1:https" https;'
    echo '    "1:http" http;'
    echo '}'

    case ${COOKIE_SECURE:-false} in
    [Tt]rue | 1 | [Yy]es | [Oo]n) policy='max-age=31536000' ;;
    *) policy='' ;;
    esac
    echo "map '' \$strict_transport_security {"
    echo "    default '$policy';"
    echo '}'

    case ${HTTPS_PORT:-443} in
    443) suffix='' ;;
    *[!0-9]*) refuse "HTTPS_PORT is \"$HTTPS_PORT\"; it takes a number" ;;
    *) suffix=":$HTTPS_PORT" ;;
    esac
    echo "map '' \$https_port {"
    echo "    default '$suffix';"
    echo '}'
} >/tmp/nginx/settings.conf

folder=/etc/nginx/tls
if [ -e $folder/fullchain.pem ] || [ -e $folder/privkey.pem ]; then
    for file in fullchain.pem privkey.pem; do
        [ -r $folder/$file ] || refuse "tls/$file is missing or cannot be read by user $(id -u), group $(id -g). See docs/operations.md, HTTPS"
    done
    cp /etc/nginx/tailwatch/with-tls.conf /tmp/nginx/server.conf
else
    cp /etc/nginx/tailwatch/plain.conf /tmp/nginx/server.conf
fi
