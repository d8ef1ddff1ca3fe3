#!/bin/bash
# Every test there is: sudo tests/run.sh. Builds into build/ of this checkout and ends with a line "N passed, N failed".
set -u -o pipefail

usage() {
    cat <<'EOF'
usage: sudo tests/run.sh [--quick] [--bench] [--campaign] [--fuzz SECONDS] [--only PATTERN] [--no-deps] [--jobs N]

  --quick         one build (gcc), no sanitisers, no fuzzing, no slow tests, no booted Debian
  --bench         the measurements of tests/bench at the end (never counted as tests)
  --campaign      1,000 runs of the fault campaign instead of 100, and a failure of each call of the store to the disk
  --fuzz SECONDS  how long each fuzz target runs (default 15)
  --only PATTERN  only tests whose name contains PATTERN
  --no-deps       do not call apt-get
  --jobs N        integration tests at one time (default 4)
EOF
}

quick=no bench=no campaign=no fuzz=15 only='' deps=yes jobs=4
while [ $# -gt 0 ]; do
    case $1 in
    --quick) quick=yes ;;
    --bench) bench=yes ;;
    --campaign) campaign=yes ;;
    --fuzz) fuzz=${2:?--fuzz needs seconds} && shift ;;
    --only) only=${2:?--only needs a pattern} && shift ;;
    --no-deps) deps=no ;;
    --jobs) jobs=${2:?--jobs needs a number} && shift ;;
    -h | --help) usage && exit 0 ;;
    *) usage >&2 && exit 64 ;;
    esac
    shift
done

cd "$(dirname "$0")/.." || exit 1
if [ "$(id -u)" != 0 ]; then
    echo 'tests/run.sh must run as root (network namespaces): sudo tests/run.sh' >&2
    exit 1
fi
umask 022
PATH=$PATH:/usr/sbin:/sbin
python=/usr/bin/python3 # Debian's, which has Debian's pytest
export PYTHONDONTWRITEBYTECODE=1 LC_ALL=C.UTF-8
unset JOURNAL_STREAM NOTIFY_SOCKET INVOCATION_ID
passed=0 failed=0 skipped=0 failures=() began=$SECONDS
mkdir -p build/results

packages='gcc g++ libc6-dev clang llvm libclang-rt-14-dev meson ninja-build pkg-config libsystemd-dev libcurl4-openssl-dev
    libinih-dev libsqlite3-dev libmnl-dev libjansson-dev libssl-dev libcmocka-dev scdoc ca-certificates
    python3 python3-pytest python3-pytest-xdist python3-aiosmtpd python3-jsonschema exim4-daemon-light openssl iproute2
    net-tools nftables procps util-linux mount mandoc shellcheck
    build-essential debhelper dpkg-dev fakeroot lintian rpm mmdebstrap eatmydata systemd systemd-container
    qemu-system-x86 e2fsprogs'

install_dependencies() {
    local missing=() package
    command -v apt-get >/dev/null || return 0
    for package in $packages; do
        dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
    done
    [ ${#missing[@]} = 0 ] && return 0
    echo "== installing ${missing[*]}"
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -q || return 1
    # --no-remove: another mail server on this machine is not thrown out for exim
    apt-get install -y -q --no-install-recommends --no-remove "${missing[@]}"
}

wanted() { [ -z "$only" ] || [[ $1 == *"$only"* ]]; }

# One step that is one test: its output is shown only if it fails.
step() {
    local name=$1 log
    shift
    wanted "$name" || return 0
    log=build/results/${name//[ \/]/-}.log
    if "$@" >"$log" 2>&1; then
        passed=$((passed + 1))
        printf 'ok    %-44s %4d s\n' "$name" $((SECONDS - began))
        return 0
    fi
    failed=$((failed + 1))
    failures+=("$name ($log)")
    printf 'FAIL  %s\n' "$name"
    tail -n 60 "$log" | sed 's/^/      /'
    return 1
}

# Adds the counts of a JUnit file; without one the whole run counts as one failure.
count() {
    local name=$1 file=$2 p f s
    if [ -f "$file" ] && read -r p f s < <($python tests/count.py "$file"); then
        passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
        [ "$f" = 0 ] || failures+=("$name: $f of $((p + f))")
        printf '%-5s %-44s %4d s   %d passed, %d failed, %d skipped\n' "$([ "$f" = 0 ] && echo ok || echo FAIL)" \
            "$name" $((SECONDS - began)) "$p" "$f" "$s"
    else
        failed=$((failed + 1))
        failures+=("$name: did not run")
        printf 'FAIL  %s: did not run\n' "$name"
    fi
}

# A build counts as one test: warnings are errors. Needed by what follows, so never left out by --only.
build() {
    local name=$1 compiler=$2 keep=$only
    shift 2
    only=
    step "build $name" build_in "build/$name" "$compiler" "$@"
    local result=$?
    only=$keep
    return $result
}

build_in() {
    local directory=$1 compiler=$2
    shift 2
    if [ -f "$directory/build.ninja" ]; then
        meson setup --reconfigure "$directory" --werror "$@" || return 1
    else
        rm -rf "$directory"
        CC=$compiler meson setup "$directory" --werror "$@" || return 1
    fi
    meson compile -C "$directory"
}

unit() {
    local directory=build/$1 names=()
    if [ -n "$only" ]; then
        mapfile -t names < <(meson test -C "$directory" --list 2>/dev/null | grep -F -- "$only" | sed 's,.*/ ,,')
        [ ${#names[@]} -gt 0 ] || return 0
    fi
    rm -f "$directory/meson-logs/testlog.junit.xml"
    meson test -C "$directory" --no-rebuild --print-errorlogs --timeout-multiplier "$2" "${names[@]}" \
        >"build/results/unit-$1.log" 2>&1 || tail -n 80 "build/results/unit-$1.log"
    count "unit tests ($1)" "$directory/meson-logs/testlog.junit.xml"
}

# integration BUILD SLOWNESS MARKS JOBS: against the programs of that build.
integration() {
    local report=build/results/integration-$1.xml log=build/results/integration-$1.log status
    rm -f "$report"
    PORTWATCH_BUILD=$PWD/build/$1 PORTWATCH_SLOW=$2 $python -m pytest -p no:cacheprovider -q -n "$4" \
        --dist load --junitxml "$report" -m "$3" ${only:+-k "$only"} tests/integration >"$log" 2>&1
    status=$?
    # 5: no test of that name
    [ $status = 5 ] && return 0
    [ $status = 0 ] || tail -n 200 "$log"
    count "integration ($1)" "$report"
}

fuzz_target() {
    local target=$1 layer=$2 name=${1##*/} work corpus
    corpus=tests/fuzz/$layer/corpus/${name#fuzz-}
    [ -d "$corpus" ] || corpus=tests/fuzz/$layer/corpus
    [ -d "$corpus" ] || { echo "no corpus for $name in tests/fuzz/$layer" && return 1; }
    work=$(mktemp -d) || return 1
    # new finds go to the first directory; the kept corpus is only read
    "$target" -max_total_time="$fuzz" -rss_limit_mb=1024 -timeout=10 -print_final_stats=1 -artifact_prefix="$work/" \
        "$work" "$corpus"
    local result=$?
    [ $result = 0 ] && rm -rf "$work"
    return $result
}

fuzzing() {
    local target
    for target in build/clang/tests/fuzz/*/*; do
        if [ ! -f "$target" ] || [ ! -x "$target" ]; then continue; fi
        step "fuzz ${target##*/} ${fuzz}s" fuzz_target "$target" "$(basename "$(dirname "$target")")"
    done
}

manual_pages() {
    local page result=0
    for page in build/gcc/man/*.[1-8]; do
        # scdoc writes a .PP after every heading
        mandoc -Tlint -Wwarning "$page" | grep -v 'paragraph macro: PP' && result=1
    done
    return $result
}

shell_scripts() {
    shellcheck packaging/install.sh packaging/deb.sh packaging/debian/portwatch.p* conf/keep.sh tests/run.sh .ci/run
}

# The booted guests mostly wait, so they run beside what only computes; their lines come when they are done.
vm=''
vm_begin() {
    wanted 'booted Debian' || return 0
    rm -f build/results/vm.xml
    $python tests/vm/run.py --junit build/results/vm.xml >build/results/vm.log 2>&1 &
    vm=$!
}

vm_end() {
    [ -n "$vm" ] || return 0
    wait "$vm"
    vm=''
    sed 's/^/      /' build/results/vm.log
    count 'booted Debian' build/results/vm.xml
}

# Seeded runs of the real programs with random harm done to them: they mostly wait, too.
campaign_pid=''
campaign_begin() {
    wanted 'fault campaign' || return 0
    local runs=100
    [ $campaign = no ] || runs=1000
    $python tests/campaign/run.py --build build/gcc --runs $runs >build/results/campaign.log 2>&1 &
    campaign_pid=$!
}

campaign_result() {
    wait "$1"
    local result=$?
    cat build/results/campaign.log
    return $result
}

campaign_end() {
    [ -n "$campaign_pid" ] || return 0
    step 'fault campaign' campaign_result "$campaign_pid"
    campaign_pid=''
    tail -n 100 build/results/campaign.log | grep ' runs, ' | sed 's/^/      /'
    [ $campaign = no ] || step 'store, a fault of each call' faults_of_each_call
}

faults_of_each_call() {
    PORTWATCH_FAULTS=all build/gcc/tests/unit/store/test-store-faults
}

# What runs beside does not outlive us.
end_all() {
    local pid
    for pid in $vm $campaign_pid; do
        kill "$pid" && wait "$pid"
    done
}
trap end_all EXIT

# Leaks are looked for in the daemon, the command line and the unit tests; the notifier children end by _exit.
export ASAN_OPTIONS=abort_on_error=0:detect_stack_use_after_return=1
export UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1

if [ $deps = yes ]; then
    if ! install_dependencies; then
        echo 'the test dependencies could not be installed' >&2
        printf '\n%s passed, %s failed\n' 0 1
        exit 1
    fi
fi

step 'shell scripts' shell_scripts
if build gcc gcc --buildtype=debugoptimized -Dfault_points=true; then
    PORTWATCH_CHURN_TICKS=10000 unit gcc 2 # the acceptance figure; elsewhere fewer
    step 'manual pages' manual_pages
    marks='not slow'
    if [ $quick = no ]; then
        marks=''
        # the release build, as it is installed
        # left out by --only, whoever needs them builds them
        wanted packages && step packages packaging/deb.sh --output build/packages --no-deps &&
            export PORTWATCH_PACKAGES=$PWD/build/packages
    fi
    integration gcc 1 "$marks" "$jobs"
fi
if [ $quick = no ]; then
    vm_begin
    campaign_begin
    # without assertions, as a release is
    build clang clang -Doptimization=2 -Ddebug=true -Db_ndebug=true -Dfuzz=true && unit clang 2 && fuzzing
    if build asan gcc -Doptimization=1 -Ddebug=true -Db_sanitize=address,undefined -Dfault_points=true; then
        unit asan 5
        campaign_end
        vm_end
        integration asan 3 'not plain' $((jobs + 2)) # nothing else runs by now, and they mostly wait
    fi
    campaign_end
fi
vm_end
if [ $bench = yes ]; then
    build release gcc --buildtype=release -Db_lto=true -Dtests=false && $python tests/bench/run.py --build build/release
fi

printf '\n'
for failure in "${failures[@]}"; do
    printf 'failed: %s\n' "$failure"
done
[ $skipped = 0 ] || printf '%d skipped\n' $skipped
printf 'took %d s\n' $((SECONDS - began))
printf '%d passed, %d failed\n' $passed $failed
[ $failed = 0 ] && [ $passed -gt 0 ]
