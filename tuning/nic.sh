#!/bin/sh
# Spreads the work of a network card over the CPUs: `nic.sh INTERFACE [CPUS]`, as root, after each start of the machine.
# CPUS is a list such as 0-3,8 of the CPUs that Gripwire's cores run on; without CPUS, all online CPUs are used. The script
# prints each step, and skips steps that the card or the kernel does not support. irqbalance must not run, because it would
# undo the second step.
set -eu

interface=${1:?usage: nic.sh INTERFACE [CPUS]}
list=${2:-$(cat /sys/devices/system/cpu/online)}
card=/sys/class/net/$interface
[ -e "$card/device" ] || { echo "nic.sh: $interface is not a network card of this machine" >&2; exit 1; }

say() { echo "$interface: $*"; }

# Writes $1 to the file $2, and fails if it cannot. Some virtual cards have the file but refuse to be written.
put() { [ -w "$2" ] && { echo "$1" >"$2"; } 2>/dev/null; }

# Prints the CPUs of a list, one on each line.
expand() {
    echo "$1" | tr ',' '\n' | while IFS=- read -r first last; do seq "$first" "${last:-$first}"; done
}

# Prints the mask of the given CPUs in the kernel's form: words of 32 bits, the highest first.
mask() {
    highest=0
    for cpu in "$@"; do [ "$cpu" -le "$highest" ] || highest=$cpu; done
    word=$((highest / 32))
    text=
    while [ "$word" -ge 0 ]; do
        bits=0
        for cpu in "$@"; do
            [ $((cpu / 32)) -ne "$word" ] || bits=$((bits | 1 << cpu % 32))
        done
        text=$text${text:+,}$(printf %08x "$bits")
        word=$((word - 1))
    done
    echo "$text"
}

# Prints the CPU for the queue with index $1: queues go to the CPUs in turn.
cpu_of() { echo "$cpus" | sed -n "$(($1 % count + 1))p"; }

cpus=$(expand "$list")
count=$(echo "$cpus" | wc -l)

if pgrep -x irqbalance >/dev/null 2>&1; then
    say "irqbalance runs and will undo what follows: systemctl disable --now irqbalance" >&2
fi

# 1. As many queues as CPUs, so that each CPU receives its own packets; and the longest rings, because the acknowledgements
#    of a fan-out arrive in one burst.
if command -v ethtool >/dev/null; then
    most=$(ethtool -l "$interface" 2>/dev/null | awk '/^Combined:/ { print $2; exit }')
    case $most in
        '' | *[!0-9]*) say "queues: the driver does not say how many it can have" ;;
        *)
            wanted=$((most < count ? most : count))
            ethtool -L "$interface" combined "$wanted" 2>/dev/null || true
            say "queues: $wanted of at most $most, for $count CPUs"
            ;;
    esac
    for ring in rx tx; do
        label=$(echo "$ring" | tr rt RT | tr x X)
        longest=$(ethtool -g "$interface" 2>/dev/null | awk -v l="$label:" '$1 == l { print $2; exit }')
        case $longest in
            '' | *[!0-9]*) ;;
            *) if ethtool -G "$interface" "$ring" "$longest" 2>/dev/null; then say "$ring ring: $longest"; fi ;;
        esac
    done
else
    say "queues and rings: left as they are, because ethtool is not installed"
fi

# 2. The interrupts of the queues, each on one CPU. Receive interrupts and send interrupts are counted separately, so that
#    both halves of a queue are on the same CPU. The interrupts of a virtio card belong to its parent device.
receiving=0
sending=0
irqs=$(find "$card/device/msi_irqs/" "$card/device/../msi_irqs/" -mindepth 1 -maxdepth 1 2>/dev/null || true)
for irq in $(echo "$irqs" | sed 's|.*/||' | sort -nu); do
    # The kernel names an interrupt by a directory: eth0-TxRx-3, virtio2-input.0, mlx5_comp0@pci:0000:01:00.0.
    name=$(find "/proc/irq/$irq" -mindepth 1 -maxdepth 1 -type d 2>/dev/null | sed 's|.*/||; q')
    case $name in
        *[Tt]x[Rr]x* | *[Rr]x* | *input.* | *comp[0-9]* | "$interface"-[0-9]*)
            cpu=$(cpu_of "$receiving")
            receiving=$((receiving + 1))
            ;;
        *[Tt]x* | *output.*)
            cpu=$(cpu_of "$sending")
            sending=$((sending + 1))
            ;;
        # Interrupts for configuration and errors are rare, so they stay where they are.
        *) continue ;;
    esac
    if put "$cpu" "/proc/irq/$irq/smp_affinity_list"; then say "interrupt $irq ($name): CPU $cpu"; fi
done

# 3. RPS, only if the card has fewer receive queues than there are CPUs: the CPU that gets the interrupt hands packets to
#    other CPUs by a hash of their addresses. With a queue for each CPU, RPS would only move packets away from their cache.
queues=$(find "$card/queues" -name 'rx-*' | wc -l)
# shellcheck disable=SC2086 # a list of numbers, to be split
if [ "$queues" -lt "$count" ]; then spread=$(mask $cpus); else spread=0; fi
for queue in "$card"/queues/rx-*; do
    if put "$spread" "$queue/rps_cpus"; then say "RPS of ${queue##*/}: $spread"; fi
done

# 4. XPS: each CPU sends through its own queue, so that cores do not wait for each other's locks in a fan-out.
queues=$(find "$card/queues" -name 'tx-*' | wc -l)
index=0
while [ "$index" -lt "$queues" ]; do
    queue=$card/queues/tx-$index
    set --
    position=0
    for cpu in $cpus; do
        [ $((position % queues)) -ne "$index" ] || set -- "$@" "$cpu"
        position=$((position + 1))
    done
    if [ $# -gt 0 ] && put "$(mask "$@")" "$queue/xps_cpus"; then say "XPS of ${queue##*/}: CPUs $*"; fi
    index=$((index + 1))
done

# 5. fq on each send queue: net.core.default_qdisc applies only to cards that are brought up after it is set.
if command -v tc >/dev/null; then
    if [ "$queues" -gt 1 ] && tc qdisc replace dev "$interface" root handle 1: mq 2>/dev/null; then
        say "queueing: mq with net.core.default_qdisc at each queue"
    elif tc qdisc replace dev "$interface" root fq 2>/dev/null; then
        say "queueing: fq"
    else
        say "queueing: left as it is, because this kernel has no fq"
    fi
fi
