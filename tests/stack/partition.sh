# Fault case 151: the network between one backend and the database, which drops what is sent; the others do not notice.
# Sourced by tests/stack/run, whose functions and load it uses.

cut_off_a_backend() {
    local replica pid database server before served cut_at red_at removed_at healed_at back_at late reads others most
    before=$($docker ps --quiet --no-trunc --filter name=freehunt_backend | sort)
    replica=$(container_of backend)
    pid=$($docker inspect --format '{{.State.Pid}}' "$replica")
    database=$($docker inspect --format '{{.NetworkSettings.Networks.freehunt_data.IPAddress}}' "$(container_of db)")
    server="http://$($docker inspect --format '{{.NetworkSettings.Networks.freehunt_edge.IPAddress}}' "$replica"):3000"
    at_replica() { nsenter --target "$pid" --net "$@"; }
    # Dropped both ways, as a switch does; nothing is refused and no connection is closed.
    network() { # -A to cut it, -D to heal it
        at_replica iptables -w "$1" OUTPUT -d "$database" -j DROP && at_replica iptables -w "$1" INPUT -s "$database" -j DROP
    }
    readiness() { [ "$(at_replica curl -s -o /dev/null -m 10 -w '%{http_code}' http://127.0.0.1:3000/health/ready)" = "$1" ]; }
    traefik_says() {
        curl -s -m 2 -u "$STACK_DASHBOARD" http://127.0.0.1:8081/api/http/services/backend-api@swarm \
            | python3 -c "import json,sys; sys.exit(json.load(sys.stdin)['serverStatus']['$server'] != '$1')"
    }
    # Answers that need the database.
    served() { at_replica curl -s http://127.0.0.1:9464/metrics | awk '/^freehunt_http_requests_total.*"\/auth\/getme".*"200"/ {sum += $NF} END {print sum + 0}'; }
    serves_more() { [ "$(served)" -gt "$served" ]; }
    after() { python3 -c "print(round($1 - $cut_at, 1))"; }

    traefik_says UP || fail "Traefik does not know the replica at $server"
    begin_load
    cut_at=$(date +%s.%N)
    network -A || fail "the packets of a container cannot be dropped"
    # Beside each other: each takes the other's time else.
    { wait_until 30 "the replica is not ready" readiness 503; date +%s.%N >"$work/red"; } &
    local red=$!
    wait_until 30 "Traefik takes it out" traefik_says DOWN
    removed_at=$(date +%s.%N)
    wait $red || fail "the replica stays ready"
    red_at=$(cat "$work/red")
    sleep 8
    served=$(served)
    traefik_says DOWN || fail "Traefik gives the replica requests again"
    ! serves_more || fail "the replica still got requests"
    healed_at=$(date +%s.%N)
    network -D || fail "the packets of a container are still dropped"
    wait_until 30 "Traefik takes it back" traefik_says UP
    back_at=$(date +%s.%N)
    wait_until 30 "it serves again" serves_more
    end_load

    say "      $(summary), the longest took $(report "r['longest_s']") s"
    say "      not ready $(after "$red_at") s after the cut, taken out by Traefik after $(after "$removed_at") s, back $(python3 -c "print(round($back_at - $healed_at, 1))") s after it was healed"
    python3 -c "import sys; sys.exit(max($red_at, $removed_at) - $cut_at >= 5)" || fail "not ready after $(after "$red_at") s, taken out after $(after "$removed_at") s"
    # The fifth is how long it took: counted is when a request began.
    late=$(report "[f for f in r['failures'] if f[0] - f[4] > $removed_at][:10]")
    [ "$late" = "[]" ] || fail "requests failed that began after the replica was taken out: $late"
    others=$(report "[f for f in r['failures'] if f[2] != 503][:10]")
    [ "$others" = "[]" ] || fail "something other than 503: $others"
    reads=$(report "[f for f in r['failures'] if f[1] not in ('/messages', '/job-postings/search')][:10]")
    [ "$reads" = "[]" ] || fail "the replica cost reads: $reads"
    # A fifth of the requests are writes, and a third of those are the replica's until it is taken out; and the chat's.
    most=$(report "round($rate / 15 * ($removed_at - $cut_at)) + 5")
    [ "$(report "r['failed']")" -le "$most" ] || fail "the replica cost $(report "r['failed']") writes, more than $most"
    [ "$(report "len(r['chat_lost'])")" = 0 ] || fail "chat messages were lost: $(report "r['chat_lost']")"
    [ "$($docker ps --quiet --no-trunc --filter name=freehunt_backend | sort)" = "$before" ] || fail "a backend was replaced because its network was cut"
    say "ok    no read failed, $(report "r['failed']") of at most $most writes did with 503 before the replica was taken out, nothing after; the same replica serves again"
}
