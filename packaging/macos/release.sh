#!/usr/bin/env bash
# From dist/Plum Desktop.app a signed and notarized DMG.  Run on a Mac, after packaging/build.py.
#
#   PLUM_IDENTITY="Developer ID Application: NAME (TEAM)" PLUM_PROFILE=plum packaging/macos/release.sh
#
# PLUM_PROFILE is a keychain profile of `xcrun notarytool store-credentials`; no password is here.
# Without PLUM_IDENTITY the app is signed for this Mac alone (ad hoc), to try the rest.
set -euo pipefail
cd "$(dirname "$0")/../.."

APP="dist/Plum Desktop.app"
IDENTITY="${PLUM_IDENTITY:--}"
HERE=packaging/macos
[ -d "$APP" ] || { echo "There is no $APP; run packaging/build.py first." >&2; exit 1; }
[ "$IDENTITY" = - ] || : "${PLUM_PROFILE:?set it to a profile of xcrun notarytool store-credentials}"
VERSION="$(plutil -extract CFBundleShortVersionString raw -o - "$APP/Contents/Info.plist")"
DMG="dist/Plum-Desktop-$VERSION-$(uname -m).dmg"

# Inside out, and never --deep: each library by itself, then the program, then the app around it.
# A hardened runtime and a time stamp are what notarization asks of every one of them.  Ad hoc there
# is no team that the libraries could share with the program, and a hardened one would refuse them.
options=(--force --sign "$IDENTITY")
[ "$IDENTITY" = - ] || options+=(--options runtime --timestamp)
echo "signing $APP"
find "$APP/Contents" -type f \( -name '*.dylib' -o -name '*.so' -o -perm -111 \) -print0 |
    while IFS= read -r -d '' file; do
        case "$file" in "$APP/Contents/MacOS/"*) continue ;; esac # below, with its entitlements
        case "$(file -b "$file")" in *Mach-O*) codesign "${options[@]}" "$file" ;; esac
    done
find "$APP/Contents" -depth -type d -name '*.framework' -print0 |
    while IFS= read -r -d '' framework; do codesign "${options[@]}" "$framework"; done
codesign "${options[@]}" --entitlements "$HERE/entitlements.plist" "$APP/Contents/MacOS/plum-desktop"
codesign "${options[@]}" --entitlements "$HERE/entitlements.plist" "$APP"
codesign --verify --strict --verbose=2 "$APP"

echo "writing $DMG"
stage="$(mktemp -d)"
trap 'rm -rf "$stage"' EXIT
ditto "$APP" "$stage/Plum Desktop.app"
ln -s /Applications "$stage/Applications"
rm -f "$DMG"
hdiutil create -quiet -volname "Plum Desktop" -srcfolder "$stage" -fs APFS -format ULFO "$DMG"

if [ "$IDENTITY" = - ]; then
    echo "Signed for this Mac alone; set PLUM_IDENTITY and PLUM_PROFILE for a release."
    exit 0
fi
codesign --force --sign "$IDENTITY" --timestamp "$DMG"
# It may end well although Apple refused; the log says which file, and why.
answer="$(xcrun notarytool submit "$DMG" --keychain-profile "$PLUM_PROFILE" --wait --output-format json)"
if [ "$(plutil -extract status raw -o - - <<<"$answer")" != Accepted ]; then
    echo "$answer" >&2
    xcrun notarytool log "$(plutil -extract id raw -o - - <<<"$answer")" --keychain-profile "$PLUM_PROFILE" >&2
    exit 1
fi
xcrun stapler staple "$DMG"
# What a Mac that has never seen it decides.
spctl --assess --type open --context context:primary-signature --verbose "$DMG"
