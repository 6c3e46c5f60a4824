# From dist\plum-desktop an installer, signed where PLUM_CERTIFICATE is set.  Run on Windows in a
# checkout, after packaging\build.py; needs Inno Setup 6.3 or later and, to sign, the Windows SDK.
#
#   $env:PLUM_CERTIFICATE = "<thumbprint in the user's certificate store>"
#   packaging\windows\release.ps1
$ErrorActionPreference = "Stop"
Set-Location (Join-Path $PSScriptRoot "..\..")

$bundle = "dist\plum-desktop"
if (-not (Test-Path "$bundle\plum-desktop.exe")) {
    throw "There is no $bundle; run packaging\build.py first."
}
$version = (& "$bundle\plum-desktop.exe" --version).Split(" ")[1]

function Find-Tool([string] $name, [string[]] $places) {
    $found = Get-Command $name -ErrorAction SilentlyContinue
    if ($found) { return $found.Source }
    foreach ($place in $places) {
        $path = Get-ChildItem $place -ErrorAction SilentlyContinue | Sort-Object FullName | Select-Object -Last 1
        if ($path) { return $path.FullName }
    }
    throw "$name is missing."
}

$iscc = Find-Tool "iscc.exe" @("${env:ProgramFiles(x86)}\Inno Setup *\ISCC.exe", "$env:ProgramFiles\Inno Setup *\ISCC.exe", "$env:LOCALAPPDATA\Programs\Inno Setup *\ISCC.exe")
$arguments = @("/DVersion=$version")
if ($env:PLUM_CERTIFICATE) {
    $signtool = Find-Tool "signtool.exe" @("${env:ProgramFiles(x86)}\Windows Kits\10\bin\*\x64\signtool.exe")
    # A time stamp, so that the signature outlives the certificate.
    $sign = @("sign", "/sha1", $env:PLUM_CERTIFICATE, "/fd", "sha256", "/td", "sha256", "/tr", "http://timestamp.digicert.com")
    # Our programs; the libraries bear their makers' signatures, or none.
    foreach ($program in Get-ChildItem $bundle -Filter *.exe) {
        & $signtool @sign $program.FullName
        if ($LASTEXITCODE) { throw "$($program.Name) could not be signed." }
    }
    # Inno Setup signs the installer and the uninstaller in it: `$q` is a quote, `$f` the file.
    $quoted = "`$q$signtool`$q " + ($sign -join " ") + " `$f"
    $arguments += @("/DSign", "/Splum=$quoted")
}
& $iscc @arguments "packaging\windows\plum-desktop.iss"
if ($LASTEXITCODE) { throw "The installer could not be built." }
$setup = "dist\Plum-Desktop-$version-setup.exe"
if ($env:PLUM_CERTIFICATE) {
    & $signtool verify /pa $setup
    if ($LASTEXITCODE) { throw "The signature of $setup does not hold." }
}
Write-Output "$setup is ready."
