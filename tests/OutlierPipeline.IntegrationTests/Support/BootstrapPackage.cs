using OutlierPipeline.Models;

namespace OutlierPipeline.IntegrationTests.Support;

/// <summary>The demo's package as one whose level is calibrated on training footage that was left out.</summary>
internal static class BootstrapPackage
{
    public static ModelPackage Write(string directory)
    {
        var demo = ModelPackage.Load(Repository.StreetDemo);
        var files = ModelPackageWriter.ReadAll(demo);
        files["calibration.json"] = (demo.Default.Calibration with { IsBootstrap = true, DeploymentDrives = null }).ToJson();
        return ModelPackageWriter.Write(directory, demo.Card, files);
    }
}
