# Makes the images of the test without a registry: from the machine's own packages, and the servers' by docker/Dockerfile.
# Sourced by tests/stack/run, which sets docker, work, binaries and repository.

# Copies programs and the libraries they load into a root file system.
copy_with_libraries() { # root program...
    local root=$1 library
    shift
    for program; do
        mkdir -p "$root$(dirname "$program")"
        cp -L "$program" "$root$program"
        { ldd "$program" 2>/dev/null || true; } | grep -o '/[^ )]*' | while read -r library; do
            mkdir -p "$root$(dirname "$library")"
            cp -nL "$library" "$root$library"
        done
    done
}

busybox_into() { # root
    mkdir -p "$1/bin" "$1/tmp"
    cp "$(command -v busybox)" "$1/bin/busybox"
    for applet in sh ls cp rm mkdir chmod chown cat sed dirname sleep wget su id tr test env grep sort touch find; do ln -sf busybox "$1/bin/$applet"; done
}

people_into() { # root
    mkdir -p "$1/etc" "$1/tmp"
    chmod 1777 "$1/tmp"
    printf 'root:x:0:0:root:/:/bin/sh\npostgres:x:70:70::/var/lib/postgresql:/bin/sh\nnonroot:x:65532:65532::/:/bin/false\n' >"$1/etc/passwd"
    printf 'root:x:0:\npostgres:x:70:\nnonroot:x:65532:\n' >"$1/etc/group"
}

certificates_into() { # root
    mkdir -p "$1/etc/ssl/certs"
    [ ! -e /etc/ssl/certs/ca-certificates.crt ] || cp -L /etc/ssl/certs/ca-certificates.crt "$1/etc/ssl/certs/"
}

import() { # name root change...
    local name=$1 root=$2
    shift 2
    local changes=(--change 'ENV PATH=/usr/local/bin:/usr/sbin:/usr/bin:/bin')
    for change; do changes+=(--change "$change"); done
    tar -C "$root" -c . | $docker import "${changes[@]}" - "freehunt-stack-test/$name" >/dev/null
    rm -rf "$root"
    say "image $name"
}

make_postgres() {
    local root=$work/root version bin
    bin="$(ls -d /usr/lib/postgresql/*/bin | sort -V | tail -1)"
    version="$(basename "$(dirname "$bin")")"
    mkdir -p "$root/var/lib/postgresql/data" "$root/var/run/postgresql" "$root/usr/local/bin" "$root/usr/share/postgresql"
    busybox_into "$root"
    people_into "$root"
    copy_with_libraries "$root" "$bin"/{postgres,initdb,pg_ctl,psql,pg_isready}
    mkdir -p "$root/usr/lib/postgresql/$version/lib"
    # With the extensions of the contrib package, but without the just-in-time compiler.
    find "/usr/lib/postgresql/$version/lib" -maxdepth 1 -name '*.so' ! -name 'llvmjit*' -exec cp {} "$root/usr/lib/postgresql/$version/lib/" \;
    cp -rL "/usr/share/postgresql/$version" "$root/usr/share/postgresql/$version"
    [ ! -d /usr/share/zoneinfo ] || { mkdir -p "$root/usr/share/zoneinfo"; cp -rL /usr/share/zoneinfo/{Etc,UTC} "$root/usr/share/zoneinfo/"; }
    for program in postgres psql pg_isready initdb; do ln -sf "$bin/$program" "$root/usr/local/bin/$program"; done
    cp "$repository/tests/stack/postgres-entrypoint" "$root/usr/local/bin/entrypoint"
    import postgres:1 "$root" 'ENTRYPOINT ["/usr/local/bin/entrypoint"]' 'CMD ["postgres"]'
}

make_traefik() { # wheel
    local root=$work/root
    mkdir -p "$root/usr/local/bin"
    (cd "$work" && unzip -qo "$1" -d traefik)
    install -m 755 "$(find "$work/traefik" -type f -name traefik)" "$root/usr/local/bin/traefik"
    rm -rf "$work/traefik"
    people_into "$root"
    certificates_into "$root"
    import traefik:1 "$root" 'ENTRYPOINT ["/usr/local/bin/traefik"]'
}

make_haproxy() {
    local root=$work/root
    busybox_into "$root"
    people_into "$root"
    copy_with_libraries "$root" "$(command -v haproxy)"
    import haproxy:1 "$root" "CMD [\"$(command -v haproxy)\",\"-W\",\"-db\",\"-f\",\"/usr/local/etc/haproxy/haproxy.cfg\"]"
}

# What the official PostgreSQL image and curl are to docker/Dockerfile's target `backup`.
make_backup() {
    local root=$work/root bin tool tools=()
    bin="$(ls -d /usr/lib/postgresql/*/bin | sort -V | tail -1)"
    people_into "$root"
    certificates_into "$root"
    mkdir -p "$root/usr/local/bin" "$root/bin"
    for tool in bash curl date stat sha256sum touch sleep timeout rm cut tr find grep sed cat env mkdir chown mktemp tail; do tools+=("$(command -v "$tool")"); done
    copy_with_libraries "$root" "${tools[@]}" "$bin"/{pg_dump,pg_restore,psql,createdb,dropdb}
    for tool in "$bin"/{pg_dump,pg_restore,psql,createdb,dropdb}; do ln -s "$tool" "$root/usr/local/bin/"; done
    [ -e "$root/bin/sh" ] || ln -s "$(command -v bash)" "$root/bin/sh"
    [ ! -d /usr/share/zoneinfo ] || { mkdir -p "$root/usr/share/zoneinfo"; cp -rL /usr/share/zoneinfo/{Etc,UTC} "$root/usr/share/zoneinfo/"; }
    import backup-base:1 "$root"
    DOCKER_BUILDKIT=1 $docker build --quiet --file "$repository/docker/Dockerfile" --target backup \
        --build-arg BUILD_IMAGE=freehunt-stack-test/backup-base:1 \
        --build-arg POSTGRES_IMAGE=freehunt-stack-test/backup-base:1 --tag freehunt-stack-test/backup:1 "$repository" >/dev/null
}

stripped() { # program: without debug information, which is ten times the program
    strip -o "$2" "$1" 2>/dev/null || cp "$1" "$2"
}

make_stand_ins() {
    local root=$work/root
    mkdir -p "$root/usr/local/bin"
    stripped "$binaries/stand-ins" "$work/stand-ins"
    copy_with_libraries "$root" "$work/stand-ins"
    mv "$root$work/stand-ins" "$root/usr/local/bin/stand-ins"
    rm -rf "$root/tmp"
    busybox_into "$root"
    # The health check of the stack asks Authentik's own program.
    printf '#!/bin/sh\nexec wget -q -O /dev/null http://127.0.0.1:9000/api/v3/flows/executor/default-authentication-flow/\n' >"$root/bin/ak"
    chmod 755 "$root/bin/ak"
    people_into "$root"
    certificates_into "$root"
    import stand-ins:1 "$root" 'ENTRYPOINT ["/usr/local/bin/stand-ins"]' 'USER 65532'
    version_of stand-ins stand-ins 2
}

# A stand-in of the Rust image: there `cargo` hands over programs that this machine has compiled already, beside the libraries
# they load.
make_build_base() { # name binaries
    local root=$work/root binaries=$2
    mkdir -p "$root/handed" "$root/usr/local/bin"
    stripped "$binaries/freehunt-api" "$root/handed/freehunt-api"
    stripped "$binaries/freehunt-messaging" "$root/handed/freehunt-messaging"
    busybox_into "$root"
    printf '#!/bin/sh\nset -e\nmkdir -p target/release\ncp /handed/* target/release/\n' >"$root/usr/local/bin/cargo"
    printf '#!/bin/sh\nexec %s --list "$1"\n' "$(ldd "$binaries/freehunt-api" | grep -o '/[^ ]*/ld-[^ ]*')" >"$root/usr/local/bin/ldd"
    chmod 755 "$root/usr/local/bin"/{cargo,ldd}
    copy_with_libraries "$root" "$binaries/freehunt-api" "$binaries/freehunt-messaging"
    rm -f "$root$binaries"/freehunt-{api,messaging}
    certificates_into "$root"
    import "$1" "$root"
}

# A target of docker/Dockerfile, as the guide builds it.
build_target() { # target tag build-base
    DOCKER_BUILDKIT=1 $docker build --quiet --file "$repository/docker/Dockerfile" --target "$1" \
        --build-arg "BUILD_IMAGE=freehunt-stack-test/$3" \
        --build-arg POSTGRES_IMAGE=freehunt-stack-test/postgres:1 --tag "freehunt-stack-test/$2" "$repository" >/dev/null
}

make_servers() {
    local root=$work/root target
    make_build_base build-base:1 "$binaries"
    mkdir -p "$repository/.sqlx"
    for target in api messaging; do
        build_target $target "$target:1" build-base:1 || return 1
    done
    compiles_from_what_it_copies || return 1
    version_of backend api v1
    version_of messaging messaging v1
    version_of backend api v2
    version_of messaging messaging v2
    # A version that starts, serves nothing, and fails its health check.
    mkdir -p "$root/app"
    busybox_into "$root"
    people_into "$root"
    printf '#!/bin/sh\n[ "$1" = healthcheck ] && exit 1\ntrap "exit 0" TERM\nsleep 1000 &\nwait\n' >"$root/app/freehunt-api"
    chmod 755 "$root/app/freehunt-api"
    cp "$root/app/freehunt-api" "$root/app/freehunt-messaging"
    import backend:sick "$root" 'ENTRYPOINT ["/app/freehunt-api"]' 'CMD ["serve"]'
    # The real program, which never gets ready; its own health check has to say so.
    printf 'FROM freehunt-stack-test/messaging:1\nENV DATABASE_URL=postgresql://nobody:nobody@127.0.0.1:1/nothing\n' |
        $docker build --quiet --tag freehunt-stack-test/messaging:sick - >/dev/null
    $docker images --format '{{.Repository}}:{{.Tag}} {{.Size}}' | grep -E 'stack-test/(api|messaging):1' | while read -r line; do say "$line"; done
}

# Whether cargo accepts the sources that the compilation's stage gets: every member, every target, the lock file.
compiles_from_what_it_copies() {
    local container stage folder
    command -v cargo >/dev/null || { say "note: no cargo here, so the sources of the image are not looked at"; return 0; }
    for stage in manifests:skeleton build:source; do
        folder=${stage#*:} stage=${stage%:*}
        build_target $stage $stage:1 build-base:1 || return 1
        container=$($docker create freehunt-stack-test/$stage:1 /none)
        $docker cp "$container:/$folder" "$work/source" >/dev/null && $docker rm "$container" >/dev/null || return 1
        (cd "$work/source" && cargo metadata --locked --offline --format-version 1 >/dev/null 2>"$work/metadata.log") \
            || { cat "$work/metadata.log"; return 1; }
        rm -rf "$work/source"
    done
    say "the sources that the image is compiled from are complete, and so are the manifests that its dependencies are"
}

# The images as they are shipped, from optimised programs where this machine has some: the size that the guide promises.
measure_release() { # binaries
    local target size
    [ -x "$1/freehunt-api" ] && [ -x "$1/freehunt-messaging" ] || { say "NOT CHECKED: the images' size, there are no optimised programs in $1"; return 0; }
    make_build_base release-base:1 "$1"
    for target in api messaging; do
        build_target $target "$target:release" release-base:1 || return 1
        size=$($docker image inspect --format '{{.Size}}' "freehunt-stack-test/$target:release")
        [ "$size" -lt 40000000 ] || { echo "the image of $target has $size bytes, 40 MB or more"; return 1; }
        say "ok    the optimised image of $target has $size bytes, under 40 MB"
    done
}

version_of() { # repository target version: the same programs under another image id
    printf 'FROM freehunt-stack-test/%s:1\nENV FREEHUNT_RELEASE=%s\n' "$2" "$3" |
        $docker build --quiet --tag "freehunt-stack-test/$1:$3" - >/dev/null
}
