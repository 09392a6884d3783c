# SPDX-License-Identifier: GPL-2.0-only
# Sets up a guest for tests and for a shell; guest_run.sh reads this before it loads anything.

busybox --install -s /bin
mkdir -p /etc /root /tests /tmp
[ -e /usr/bin ] || { mkdir -p /usr && ln -s /bin /usr/bin; }
echo "root:x:0:0:root:/root:/bin/sh
nobody:x:65534:65534:nobody:/tmp:/bin/sh" >/etc/passwd
echo "root:x:0:
nogroup:x:65534:" >/etc/group
chmod 1777 /tmp
for pair in fd:fd stdin:fd/0 stdout:fd/1 stderr:fd/2; do
    [ -e "/dev/${pair%%:*}" ] || ln -s "/proc/self/${pair#*:}" "/dev/${pair%%:*}"
done
mkdir -p /dev/pts /dev/shm
mount -t devpts devpts /dev/pts 2>/dev/null
mount -t tmpfs tmpfs /dev/shm 2>/dev/null
mount -t tracefs tracefs /sys/kernel/tracing 2>/dev/null
mount -t configfs configfs /sys/kernel/config 2>/dev/null
ip link set lo up 2>/dev/null
