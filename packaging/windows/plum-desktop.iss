; The installer for Windows: `iscc /DVersion=0.1.0 packaging\windows\plum-desktop.iss` (release.ps1 does).
; For one user, so that it asks for no administrator; chats stay when it is removed.
#ifndef Version
  #error Say which version: /DVersion=1.2.3
#endif

[Setup]
; Never changed: by it a newer version finds the older one.
AppId={{6E0B6E0C-2D0B-4E43-9E0E-0B7E0B3F5C61}
AppName=Plum Desktop
AppVersion={#Version}
AppPublisher=The Plum Desktop contributors
DefaultDirName={autopf}\Plum Desktop
DefaultGroupName=Plum Desktop
DisableProgramGroupPage=yes
PrivilegesRequired=lowest
PrivilegesRequiredOverridesAllowed=dialog
ArchitecturesAllowed=x64compatible
ArchitecturesInstallIn64BitMode=x64compatible
MinVersion=10.0.17763
LicenseFile=..\..\LICENSE
SetupIconFile=..\..\build\icons\plum.ico
UninstallDisplayIcon={app}\Plum Desktop.exe
OutputDir=..\..\dist
OutputBaseFilename=Plum-Desktop-{#Version}-setup
Compression=lzma2/fast
SolidCompression=yes
; The window and the workers are asked to close before files are replaced.
CloseApplications=yes
RestartApplications=no
ChangesEnvironment=yes
#ifdef Sign
SignTool=plum
SignedUninstaller=yes
#endif

[Languages]
Name: "en"; MessagesFile: "compiler:Default.isl"

[Tasks]
Name: "desktopicon"; Description: "{cm:CreateDesktopIcon}"; Flags: unchecked
Name: "path"; Description: "Add the command plum-desktop to the PATH"; Flags: unchecked

[InstallDelete]
; Libraries of the version before, which this one may not have.
Type: filesandordirs; Name: "{app}\_internal"

[Files]
Source: "..\..\dist\plum-desktop\*"; DestDir: "{app}"; Flags: ignoreversion recursesubdirs createallsubdirs

[Icons]
Name: "{group}\Plum Desktop"; Filename: "{app}\Plum Desktop.exe"
Name: "{autodesktop}\Plum Desktop"; Filename: "{app}\Plum Desktop.exe"; Tasks: desktopicon

[Registry]
Root: HKA; Subkey: "{code:EnvironmentKey}"; ValueType: expandsz; ValueName: "Path"; \
  ValueData: "{olddata};{app}"; Tasks: path; Check: NotInPath

[Run]
Filename: "{app}\Plum Desktop.exe"; Description: "{cm:LaunchProgram,Plum Desktop}"; \
  Flags: nowait postinstall skipifsilent

[Code]
function EnvironmentKey(Param: String): String;
begin
  if IsAdminInstallMode then
    Result := 'SYSTEM\CurrentControlSet\Control\Session Manager\Environment'
  else
    Result := 'Environment';
end;

function NotInPath: Boolean;
var
  Before: String;
begin
  if not RegQueryStringValue(HKA, EnvironmentKey(''), 'Path', Before) then
    Before := '';
  Result := Pos(';' + Uppercase(ExpandConstant('{app}')) + ';', ';' + Uppercase(Before) + ';') = 0;
end;

procedure CurUninstallStepChanged(Step: TUninstallStep);
var
  Path, Ours: String;
  Place: Integer;
begin
  if Step <> usUninstall then
    Exit;
  if RegQueryStringValue(HKA, EnvironmentKey(''), 'Path', Path) then
  begin
    // Between semicolons, so that a folder whose name only begins like ours stays.
    Path := ';' + Path + ';';
    Ours := ';' + ExpandConstant('{app}');
    Place := Pos(Uppercase(Ours + ';'), Uppercase(Path));
    if Place > 0 then
    begin
      Delete(Path, Place, Length(Ours));
      RegWriteExpandStringValue(HKA, EnvironmentKey(''), 'Path', Copy(Path, 2, Length(Path) - 2));
    end;
  end;
end;
